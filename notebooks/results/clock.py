# %% [markdown]
# # Does the score know the goal, or the clock?
#
# In an episode success comes late. So a neuron that only knows how much time has passed agrees with success, and is chosen. Controls, from the same
# rollouts: the choice by labels that know nothing but the time; by the labels of other episodes; by the other half of the episodes; and by a
# score that compares episodes at equal times only. The second half asks how long an episode must be for the score to be worth anything.

# %% tags=["parameters"]
folder = "runs/smoke/checkpoints/drawer"  # result folders of the arms of one sequence
arms = "nbsp"  # arms whose networks are scored, separated by spaces
share = 0.2  # of the neurons of a network that are chosen, the paper's
episodes = 25  # of each rollout, half of the goals: a score is a mean over 5,000 moments
horizons = "50 75 100 150 200 500"  # steps of an episode that the score sees; beyond training's length with networks of position 1 only
out = "runs/smoke/clock/drawer"  # folder for the figures and the tables

# %% [markdown]
# ## The choice with other labels
#
# Jaccard overlap of the paper's choice with each control's. *late in the episode*: t ≥ τ, τ the median time of the first success. *mean goal at this time*: the
# average of the goal metric over episodes at each t. *labels of other episodes*: whole episodes of labels exchanged, the mean of ten draws. *goal given the time*: thresholds are means over
# episodes at one t, hit rates averaged over the times at which episodes differ; a neuron that knows only the clock scores 0.5.
#
# If the first three overlap as much as two halves of one rollout do, the choice does not need to know which episodes succeed.

# %%
from pathlib import Path

from IPython.display import Image, Markdown, display

from nbsp_lib.results import clock, neuron_figures, retention
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.study import trained_profile
from nbsp_lib.runs.files import enter_repository

enter_repository()
sequence = Path(folder).name
read = retention.read(folder, arms.split())
source = f"sequence {sequence}, trained under profile {trained_profile(read.values())}"
overlaps, given, cuts = clock.score_controls(read, episodes, share, [int(steps) for steps in horizons.split()])
for name, frame in (("clock", overlaps), ("given_time", given), ("horizon", cuts)):
    write_csv(frame, f"{out}/{name}.csv")
kinds = overlaps.assign(network=overlaps.network.str.rstrip("01").replace("critic", "critics"))
table = clock.over_seeds(kinds, ["task", "comparison", "network"], "jaccard")
write_csv(table, f"{out}/clock_table.csv")
Markdown(markdown(table))

# %% [markdown]
# ## The picture
#
# A point is one network, the dark tick the mean, the red tick the expectation for random sets.

# %%
figure = neuron_figures.overlap(
    overlaps,
    f"How far the paper's choice agrees with that of controls\n{source}, "
    f"{overlaps.seed.nunique()} seeds, all positions",
)
Image(save_figure(figure, out, "clock"))

# %% [markdown]
# ## The goal at equal times
#
# Mean score given the time: of the neurons that the paper's score chooses, of the others, and of what exchanged labels choose and are then scored with.

# %%
scores = {name: clock.over_seeds(given, ["task"], name) for name in ("chosen", "others", "exchanged")}
display(given.groupby("task")[["late", "moments"]].mean().round(2))
Markdown("\n\n".join(f"**{name}**\n\n{markdown(frame)}" for name, frame in scores.items()))

# %% [markdown]
# ## The horizon
#
# The same rollouts cut short. Where nearly all moments have one label, a neuron that never fires agrees with it, and is chosen: the base-rate trap.

# %%
figure = clock.horizon_figure(
    cuts,
    f"Silent neurons among the chosen, and the length of the scored episodes\n{source}, {cuts.seed.nunique()} seeds",
)
Image(save_figure(figure, out, "horizon"))

# %% [markdown]
# ## Conclusion
#
# Computed from the tables; intervals are over seeds.

# %%
show = lambda row: f"{row['mean']:.2f} [{row.low:.2f}, {row.high:.2f}]"
means = clock.over_seeds(overlaps, ["comparison"], "jaccard")
lines = [f"- {row.comparison}: overlap with the paper's choice {show(row)}." for _, row in means.iterrows()]
lines = [
    line.replace("two halves of a rollout: overlap with the paper's choice", "two halves of a rollout: overlap")
    for line in lines
]
first = cuts[cuts.position == 1].assign(network=lambda frame: frame.network.str.rstrip("01"))
trap = clock.over_seeds(first, ["network", "horizon"], "chosen_silent")
lines += [
    f"- after position 1, {row.network}, {row.horizon} steps: {show(row)} of the chosen never fire ({row.n} seeds)."
    for _, row in trap.iterrows()
]
trained = max((result.run["config"]["train"]["episode"] for result in read.values()), default=0)
whole = cuts[cuts.horizon == trained].dropna(subset="chosen_silent")
caught = whole[whole.chosen_silent > 0.5]
lines += [
    f"- at training's {trained} steps, all positions: more than half of the chosen never fire in {len(caught)} of {len(whole)} networks"
    + "".join(
        f"; {row.arm} seed {row.seed} position {row.position} {row.network} (base rate {row.base_rate:.2f})"
        for row in caught.itertuples()
    )
    + "."
]
lines = [f"- random sets would overlap by {overlaps.expected.mean():.2f}.", *lines] if len(overlaps) else []
Markdown("\n".join(lines) or "No network could be scored.")
