# %% [markdown]
# # Does an agent need its skill neurons?
#
# A score is a correlation. The causal question is what happens without these neurons: set the activation of the chosen
# actor neurons to zero and let the agent play the task it was just trained on. If the chosen neurons carry the skill,
# success falls further than when as many other neurons are silenced that are as active and sit in the same layers.
# Reviewers of the paper asked for this test; it is in none of its public versions. A network takes about 20 seconds on one CPU core.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
neurons = "runs/smoke/neurons/window.csv.gz"  # file of the pipeline notebook on neurons
out = "runs/smoke/silencing/window"  # folder for the figure and the table
arms = "nbsp"  # arms to test, separated by spaces
episodes = 25  # of each rollout, at most: half of the goals; the standard error of a success rate is then at most 0.1 for a network

# %% [markdown]
# ## What there is
#
# The chosen neurons come from the file of scores. All sets have the size of the chosen set. The chosen are far more active than
# the rest, and a neuron that hardly fires is hardly missed. So each chosen neuron is *matched* with one of its layer that is not chosen,
# the nearest in mean activation; `activity` in the table says how near the two sets come: where the chosen are the most active, nothing
# is left that equals them, and the matched set is a weaker one. Beside them: the *most active* neurons,
# whatever their score, random ones among all that fire (chosen ones, too), and the lowest-scored ones. Matched and random sets are drawn several times.

# %%
import pandas as pd
from IPython.display import Image, Markdown

from nbsp_lib.results import neuron_figures, reevaluate
from nbsp_lib.results.intervals import interval
from nbsp_lib.results.output import save_figure, write_csv
from nbsp_lib.results.study import open_study
from nbsp_lib.runs.files import read_csv

study = open_study(params_file, sequence, arms.split())
rows = read_csv(neurons)
rows[rows.network == "actor"].groupby(["arm", "position"]).agg(seeds=("seed", "nunique"), scored=("score", "count"))

# %% [markdown]
# ## Silence and play
#
# Every shipped actor plays its task with nothing silenced, then with each set. The success of the whole agent is the
# ceiling: one that never succeeds cannot show any loss, so read the other bars against the first one. The conclusion takes a
# mean over the positions of a seed, whose standard error from 25 episodes at four positions is at most 0.05.

# %%
settings = study.profile.analysis
count = min(episodes, settings.rollout_episodes)
tested = [reevaluate.silence_neurons(run, rows, count, settings.silence_draws) for run in study.results.values()]
silenced = pd.concat([frame for frame in tested if len(frame)] or [pd.DataFrame(columns=reevaluate.SILENCE_COLUMNS)])
silenced = silenced.astype({"success": float})
write_csv(silenced, f"{out}/silencing.csv")
means = silenced.groupby(["arm", "choice"])[["neurons", "activity", "success"]].mean()
means.round(3)

# %% [markdown]
# ## The picture
#
# A thin line joins the measurements on one agent (one seed at one position), matched and random sets as the mean of their draws; the
# thick bar is the mean over agents. Agents of one seed are not independent of each other: count seeds, not lines.

# %%
figure = neuron_figures.silencing(
    silenced, study.title(f"{study.unit.capitalize()} with actor neurons silenced"), study.unit
)
Image(save_figure(figure, out, "silencing"))

# %% [markdown]
# ## Conclusion
#
# Computed per seed, as the mean over its positions: success lost by silencing the chosen neurons minus success lost by silencing
# other ones, with a 95 % t interval over seeds. Positive means that the chosen matter more.

# %%
seeds = silenced.groupby(["arm", "seed", "choice"]).success.mean().unstack()
seeds = seeds.reindex(columns=["nothing", "chosen", "matched", "most active", "random firing"])
lines = []
for arm, here in seeds.groupby(level="arm"):
    activity = silenced[silenced.arm == arm].groupby("choice").activity.mean()
    found = {
        other: interval([(1.0, here[other] - here.chosen)]) for other in ("matched", "most active", "random firing")
    }
    lines.append(
        f"- **{arm}**, {len(here)} seeds: {here.nothing.mean():.2f} with all neurons, {here.chosen.mean():.2f} without the chosen, which cost "
        + ", ".join(
            f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] more than the {other}"
            f" (mean activation {activity['chosen']:.2f} against {activity[other]:.2f})"
            for other, (mean, low, high) in found.items()
        )
        + "."
    )
Markdown("\n".join(lines) or "No network could be scored, so nothing was silenced.")
