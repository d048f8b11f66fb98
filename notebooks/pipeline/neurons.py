# %% [markdown]
# # What does every single neuron know about success?
#
# This notebook scores all hidden neurons of the shipped networks, position by position, on the task that had just been
# trained, and writes one row a neuron. The notebooks on score distributions, activations, silencing and overlap read that
# file. It trains nothing; a network takes about five seconds on one CPU core.
#
# A neuron *agrees* with the goal at a step if "it is more active than on average" and "the goal metric q is higher than on
# average" are both true or both false:
#
# $$\mathrm{Acc}(N) = \operatorname{mean}_t \mathbb{1}\big[\mathbb{1}[a(N,t) > \bar a(N)] = \mathbb{1}[q(t) > \bar q]\big]
# \qquad \mathrm{Score}(N) = \max(\mathrm{Acc}, 1 - \mathrm{Acc})$$
#
# The best-scored share m of a network's neurons are its skill neurons (equations 1 to 4 of the paper as reconstructed in
# `nbsp_lib/core/neurons.py`). A neuron that never fires scores the *base rate* max(q̄, 1 − q̄), so the base rate is in the file, and so is
# the *balanced* score, which averages the hit rates of goal and other steps and gives such a neuron one half.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
out = "runs/smoke/neurons/window.csv.gz"  # file for one row a neuron

# %% [markdown]
# ## What there is
#
# Only networks that were shipped with their critics can be scored. The share m is that of the arm `nbsp` for all arms, so that the
# neurons of an arm without a mask can be compared with those of an arm that has one.

# %%
import pandas as pd
from IPython.display import Markdown

from nbsp_lib.results import reevaluate
from nbsp_lib.results.notes import accounting
from nbsp_lib.results.output import write_csv
from nbsp_lib.results.study import open_study

study = open_study(params_file, sequence)
share = study.profile.arms["nbsp"].settings["share"]
accounting(study)

# %% [markdown]
# ## Score
#
# Deterministic rollouts, one goal an episode, never stopped at success. If the goal metric never changes in a rollout,
# nothing can be scored; these neurons keep their rows and mean activations, without a score, and none of them is chosen.
# The two halves of the episodes are scored apart too, and the second half once with the thresholds of the first (held out).

# %%
frames = [
    reevaluate.score_neurons(run, study.profile.analysis.rollout_episodes, share) for run in study.results.values()
]
frames = [frame for frame in frames if len(frame)] or [pd.DataFrame(columns=reevaluate.NEURON_COLUMNS)]
neurons = pd.concat(frames, ignore_index=True).sort_values(["arm", "seed", "position"], kind="stable")
write_csv(neurons, out)
networks = neurons.groupby(["arm", "position", "task", "network"], sort=False)
networks.agg(
    seeds=("seed", "nunique"), scored=("score", "count"), chosen=("chosen", "sum"), base_rate=("base_rate", "mean")
).round(3)

# %% [markdown]
# ## Does this agree with what training recorded?
#
# Training scored the same rounded networks on the same goals when the position ended, and wrote the base rate to
# `scores.csv`. If as many episodes are rolled out here as there, the two base rates are one number measured twice. Arms that
# choose by another form of the score record its base rate, and are left out.

# %%
score_of = {arm: result.run["config"]["settings"].get("score") for arm, result in study.results.items()}
recorded = study.table("scores")
recorded = recorded[~recorded.arm.map(score_of).isin(["balanced", "accuracy"])]
keys = ["arm", "seed", "position", "network"]
measured = neurons.groupby(keys).base_rate.first().reset_index()
both = recorded.merge(measured, on=keys, suffixes=("_recorded", "_measured"))
difference = (both.base_rate_recorded.astype(float) - both.base_rate_measured.astype(float)).abs()
both.assign(difference=difference)[[*keys, "base_rate_recorded", "base_rate_measured", "difference"]].round(6)

# %% [markdown]
# ## Conclusion
#
# Computed from the rows above. A chosen neuron at or below the base rate says no more about the goal than one that never
# fires; how many there are, arm by arm, is the subject of the score report.

# %%
chosen = neurons[neurons.chosen.astype(bool)]
above = (chosen.score.astype(float) > chosen.base_rate.astype(float) + 1e-6).sum()
agents = neurons.groupby(["arm", "seed", "position"]).score.count()
Markdown(
    f"{len(agents)} agents were rolled out, {(agents > 0).sum()} could be scored. Of {len(chosen)} chosen neurons "
    f"{above} lie above the base rate. Recorded and measured base rates differ by at most {difference.max():.6f} "
    f"in {difference.notna().sum()} networks that were scored both times."
)
