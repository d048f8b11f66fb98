# %% [markdown]
# # Are the chosen neurons better than silent ones?
#
# A neuron that never fires agrees with "no success" all the time. On a rollout with success on 5 % of the steps it scores
# 0.95 and is chosen before most that do something. This is the **base-rate trap**: protecting silent neurons protects
# nothing. Training records, at the end of every position, what is needed to see it. This notebook reads these records; seconds on a CPU.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
out = "runs/smoke/score_report/window"  # folder for the figure and the table

# %% [markdown]
# ## What training recorded
#
# One row an arm, seed, position and network. *goal_mean* is q̄, *base_rate* is the score of a silent neuron, *silent* the share of
# neurons that never fired, *chosen_not_above_base* the share of the chosen that score no better than a silent one,
# *null_score* the mean score of what would be chosen if episodes exchanged their labels (empty in runs shipped earlier), and
# *masked* the share of neurons held back after this task, all tasks together. Arms without a mask choose no neurons.

# %%
import pandas as pd
from IPython.display import Image, Markdown

from nbsp_lib.results import neuron_figures
from nbsp_lib.results.output import save_figure, write_csv
from nbsp_lib.results.study import open_study

study = open_study(params_file, sequence)
scores = study.table("scores")
numbers = [
    "goal_mean",
    "base_rate",
    "silent",
    "chosen",
    "chosen_not_above_base",
    "chosen_score",
    "null_score",
    "all_score",
    "masked",
]
scores[numbers] = scores[numbers].apply(pd.to_numeric)
write_csv(scores, f"{out}/score_report.csv")
scores.drop(columns="sequence").round(3)

# %% [markdown]
# ## By arm and network
#
# Means over seeds and positions. *unscored* counts rollouts in which the goal metric never changed: nothing can be said of
# any neuron there, and the masks stayed as they were. Unscored rollouts are not in the means of the other columns.

# %%
groups = scores.groupby(["arm", "network"], sort=False)
summary = groups[
    ["base_rate", "silent", "chosen_score", "null_score", "all_score", "chosen_not_above_base", "masked"]
].mean()
summary["unscored"] = groups.status.agg(lambda status: (status == "unscored").sum())
summary.round(3)

# %% [markdown]
# ## The picture
#
# Above, a point on the diagonal is a network whose chosen neurons score on average what a neuron scores that never fires.
# Below, the share of chosen neurons not above the base rate, position by position; one means that all of them are in the trap.

# %%
chosen = scores[(scores.status == "scored") & (scores.chosen > 0)]
figure = neuron_figures.base_rate_trap(chosen, study.title("Chosen neurons against the score of a silent neuron"))
Image(save_figure(figure, out, "score_report"))

# %% [markdown]
# ## Conclusion
#
# Computed from the records: how often at least half of the chosen neurons do no better than silent ones, arm by arm.

# %%
trapped = (chosen.chosen_not_above_base >= 0.5).groupby(chosen.arm, sort=False).agg(["sum", "size"])
lines = [
    f"- **{arm}**: in {row['sum']} of {row['size']} scored networks at least half of the chosen neurons are not above "
    f"the base rate."
    for arm, row in trapped.iterrows()
]
lines += [
    f"- {arm}: {n} networks unscored." for arm, n in summary.unscored.groupby("arm", sort=False).sum().items() if n
]
Markdown("\n".join(lines) or "No arm has chosen any neurons.")
