# %% [markdown]
# # When is a task learned, when is it lost, and how fast does it come back?
#
# This notebook draws success on every task of a sequence through the whole cycle, for each arm. It reads the recorded
# evaluations, trains nothing and takes a few seconds on a CPU.
#
# In a cycle A→B→A→B the agent is evaluated on both tasks all the time, also on the one it is not trained on. Stability is
# what one sees in the second position of task A's curve: does it stay up while B is trained? Plasticity is how fast the
# curve of the task in training rises, on the first visit and again on the second.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
out = "runs/smoke/learning_curves/window"  # folder for the figure and its data

# %% [markdown]
# ## What there is
#
# Every arm of the profile is listed. What is missing stays in the list, and in the figure its panel says so.

# %%
from IPython.display import Image, Markdown

from nbsp_lib.envs.performance import SUCCESS
from nbsp_lib.results import figures
from nbsp_lib.results.notes import accounting
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.study import open_study, performances

study = open_study(params_file, sequence)
curves = study.table("curves")
write_csv(curves, f"{out}/learning_curves.csv")
if study.unit != SUCCESS:
    print(f"performance, wherever this page says success: {study.unit}")
Markdown(markdown(accounting(study)))

# %% [markdown]
# ## Which seeds swing?
#
# One snapshot of an agent can succeed in every episode and the next in none, a few thousand steps later. The table gives,
# per arm and task, the mean absolute change of success between one scheduled evaluation and the next, averaged over seeds.
# It is the reason why a position's result is taken from its last three evaluations together and not from the last one alone.
# Where evaluations in a row play different goals, as in runs that can stop at mastery, part of the change is that.

# %%
steps = curves.sort_values(["arm", "seed", "task", "total_step"])
change = steps.assign(swing=steps.groupby(["arm", "seed", "task"]).success.diff().abs().astype(float))
swing = change.groupby(["arm", "task"], sort=False).swing.mean().unstack()
swing.round(3)

# %% [markdown]
# ## The picture
#
# One panel is one arm, one colour is one task. The background has the colour of the task in training, and the position is
# named above. A thin line is one seed, to its own end in each position; where a position stops at mastery, a dot marks that. The
# thick line is the mean over the seeds that got that far, up to where the first of them ends. The horizontal axis counts
# environment steps from the start of each position, uniform random ones at its start included; every position is as wide as
# the slowest seed of all arms took.

# %%
title = study.title(f"{study.unit.capitalize()} on every task through the cycle")
figure = figures.learning_curves(curves, study.arms, study.names, title, unit=study.unit, ends=study.table("R"))
Image(save_figure(figure, out, "learning_curves"))

# %% [markdown]
# ## Conclusion
#
# Computed from the curves: how much of the first task is left at the end of the second position, arm by arm, from the
# last three evaluations of that position. At the end of the first position all arms that start neutral are equal, if the
# same library trained them on the same kind of machine.

# %%
matrix, order = performances(study)
kept = {arm: R[:, 1, order[0]] for arm, R in matrix.items() if len(order) > 1}
known = {arm: R[:, 0, order[0]] for arm, R in matrix.items()}
lines = [
    f"- **{arm}**: {known[arm][left == left].mean():.2f} on {study.names[0]} after position 1, {left[left == left].mean():.2f} "
    f"after position 2 ({(left == left).sum()} of {len(left)} seeds)."
    for arm, left in kept.items()
    if (left == left).any()
]
Markdown("\n".join(lines) or "No arm has finished two positions.")
