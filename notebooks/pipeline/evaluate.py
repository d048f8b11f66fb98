# %% [markdown]
# # Do the shipped agents still do what was recorded of them?
#
# The tables of this artifact are made from numbers recorded during training. This notebook measures some of them again: it
# loads the last network of the first seed of every arm (`of_each = 0`: of all its seeds), rolls it out on every task of the
# sequence, and compares success and return with the last recorded evaluation. It trains nothing; 50 episodes of 200 steps take
# about three seconds on one CPU core.
#
# On the reference machine the differences are exactly zero: networks were rounded to 16 bits before they were evaluated,
# goals are tied to the seed, and the policy's mean action leaves nothing to chance. On other hardware the last bit
# of a sum may differ, and over an episode the physics can enlarge that, so an episode or two may end otherwise.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # a cycling sequence; the single tasks trained alone that belong to it are rolled out too
of_each = 1  # seeds of each arm that are rolled out, the first ones; 0: all
out = "runs/smoke/evaluate/window.csv"  # file for the comparison

# %% [markdown]
# ## What there is
#
# All arms the profile shows on this sequence, and plain SAC trained alone on each of its tasks, as far as those runs exist.

# %%
import pandas as pd
from IPython.display import Markdown

from nbsp_lib.results import reevaluate
from nbsp_lib.results.notes import accounting
from nbsp_lib.results.output import write_csv
from nbsp_lib.results.study import open_study
from nbsp_lib.runs.fingerprint import code_hash, numbers_of

study = open_study(params_file, sequence)
accounting(study)

# %% [markdown]
# ## Roll out again
#
# Each agent plays the episodes that the last recorded evaluation played, episode e on goal e of its seed's table, and is never
# stopped at success. In runs that can stop at mastery these are every third one: three evaluations in a row play each once. An agent stands at the last position its seed has finished. A seed without a network keeps its line, empty.

# %%
alone = [run for task, run in study.references.items() if run.run["config"]["sequence"] == task]
runs = [*study.results.values(), *alone]
frames = [reevaluate.reroll_rows(run, of_each) for run in runs] or [pd.DataFrame(columns=reevaluate.REROLL_COLUMNS)]
compared = pd.concat(frames, ignore_index=True)
write_csv(compared, out)
compared.round(3)

# %% [markdown]
# ## Conclusion
#
# Computed from the comparison. Success is a count of episodes and coarse, the return is a sum over all steps and notices
# the smallest change, so equal returns mean the same trajectories. A run names the modules it was trained with by a hash, comments left out;
# where that differs from the code at hand, so may the numbers.

# %%
done = compared.dropna(subset="rerolled")
apart = (done.return_recorded - done.return_rerolled).abs()
same = sum(numbers_of(run.run["code_hash"]) == numbers_of(code_hash(run.run["config"]["method"])) for run in runs)
Markdown(
    f"{len(done)} of {len(compared)} evaluations were rolled out again; {(done.difference.abs() < 1e-5).sum()} agree in "
    f"success, {(apart < 1e-4).sum()} agree in return to four decimal places. Largest difference in success: "
    f"**{done.difference.abs().max() if len(done) else float('nan'):.3f}**. {same} of {len(runs)} runs were trained with the code at hand."
)
