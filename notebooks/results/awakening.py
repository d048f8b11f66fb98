# %% [markdown]
# # Do neurons that were silent on the old task overwrite it?
#
# A third of an actor's neurons never fires on the states of the old task. No score can choose them, no mask holds them, and the next task may wake
# them: then they answer old states too and write into the output. How much of the change of the old behaviour is theirs? Nothing is trained here.
#
# A neuron is called formerly silent if its activation was exactly zero at every moment of a rollout of the actor of position 1. Silencing
# such neurons changes nothing of the old actor on these states, so the change of its output splits exactly into a part that passes through
# awakened neurons and a part that passes through those that were active before. Networks are shipped at the ends of positions only, so this
# shows the end of position 2, not the way there.

# %% tags=["parameters"]
folder = "runs/smoke/checkpoints/drawer"  # result folders of the arms of one sequence
arms = "mask-only fine-tuning nbsp replay-only"  # arms to look at, separated by spaces
states = 50  # episodes whose states are the old states: every goal, as a neuron may fire for few of them only
episodes = 10  # episodes that each actor plays: the spread between seeds is larger than the error of ten goals
out = "runs/smoke/awakening/drawer"  # folder for the figure and the tables

# %% [markdown]
# ## Whose change is it?
#
# `share`: of the change of the mean action (before tanh) on the old states, measured along that change; it adds up to one with the share of the
# once active neurons, and can lie outside of 0 to 1 where the two oppose each other. `distance`: root mean square difference to the old action, in the units of an
# action, which lies between −1 and 1; `distance_without`: with the formerly silent neurons switched off. If awakening were the cause, the second would be near zero.

# %%
from pathlib import Path

from IPython.display import Image, Markdown

from nbsp_lib.envs.performance import unit
from nbsp_lib.results import awakening, retention
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.study import trained_profile
from nbsp_lib.runs.files import enter_repository

enter_repository()
sequence = Path(folder).name
read = retention.read(folder, arms.split())
profile = trained_profile(read.values())
change, played = awakening.awakening_rows(read, states, episodes)
write_csv(change, f"{out}/change.csv")
write_csv(played, f"{out}/played.csv")
change.groupby(["arm", "layer"], sort=False)[awakening.CHANGE[3:]].mean().round(3)

# %% [markdown]
# ## Switched off, or left alone with them
#
# Two interventions on the old task. *formerly silent off*: if they were the cause, success is back. *once active as before*: both ends of
# every neuron that ever fired, and the output bias, are put back from position 1; on the old states the awakened neurons are then all that is
# left of position 2. If success stays away, they suffice to disturb.

# %%
table = awakening.awakening_table(change, played)
write_csv(table, f"{out}/awakening.csv")
show = lambda row, name: f"{row[name]:.2f} [{row[f'{name} low']:.2f}, {row[f'{name} high']:.2f}]"
measures = [name for name in table.columns[4:] if f"{name} low" in table]
shown = table[list(table.columns[:4])].assign(
    **{name: [show(row, name) for _, row in table.iterrows()] for name in measures}
)
Markdown(markdown(shown.set_index("arm").T.reset_index(names="mean, 95 % t interval over seeds")))

# %%
counted = (
    ", ".join(f"{arm}: {here.seed.nunique()} seeds" for arm, here in change.groupby("arm", sort=False))
    or "no finished runs"
)
tasks = list(dict.fromkeys(played.task))
figure = awakening.awakening_figure(
    change,
    played,
    "What awakened neurons do on the old task after position 2\n"
    f"sequence {sequence}, trained under profile {profile}; {counted}",
    unit(tasks[0]) if tasks else "success",
)
Image(save_figure(figure, out, "awakening"))

# %% [markdown]
# ## Conclusion
#
# Computed from the table.

# %%
lines = [
    f"- **{row.arm}** ({row.n} seeds): of {row.silent:.0f} formerly silent neurons {row.awake:.0f} fire on old states after position 2; "
    f"share of the change {show(row, 'share')}. Success on {tasks[0]}: {show(row, f'position 1, {tasks[0]}')} before, "
    f"{show(row, f'position 2, {tasks[0]}')} after, {show(row, f'without, {tasks[0]}')} with the formerly silent off, "
    f"{show(row, f'active held, {tasks[0]}')} with the once active as before."
    for _, row in table.iterrows()
]
Markdown("\n".join(lines) or "No arm has finished two positions, so there is nothing to compare.")
