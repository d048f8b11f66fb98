# %% [markdown]
# # Does the learner master each task alone?
#
# Forgetting can only be measured on tasks that are learned. Before any sequence is worth its compute, plain SAC has to
# learn each of its tasks alone, with the same settings and the same budget of steps as one position of the cycle. That is the gate: a
# success of at least 0.9 in every seed. The same runs are the reference for forward transfer. Seconds on a CPU.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which tasks are trained alone
out = "runs/smoke/training_gate"  # folder for the figure and the table
gate = 0.9  # success to reach, in the last three evaluations together

# %% [markdown]
# ## What there is
#
# The tasks are those of the profile's sequences and those it trains alone. Where a task was not trained alone but a sequence begins with it, the first
# position of fine-tuning is the same training and is used; *source* says so. One row a task and seed; the value is that of the last three evaluations of the run together, as everywhere in the tables. A task that
# was not run and a seed that stopped early keep their rows, without a value.

# %%
import pandas as pd
from IPython.display import Image, Markdown

from nbsp_lib.envs.performance import NORMALISED, SUCCESS, unit
from nbsp_lib.envs.sequences import distinct, tasks_of
from nbsp_lib.results import figures, tables
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.study import COLUMNS, read_alone, trained_profile
from nbsp_lib.runs.files import enter_repository
from nbsp_lib.runs.settings import load_profile

enter_repository()
profile = load_profile(params_file)
asked = [task for name in (*profile.grid.sequences, *profile.grid.references) for task in tasks_of(name)]
games, asked = ([task for task in asked if (unit(task) != SUCCESS) == wanted] for wanted in (True, False))
alone = {task: read_alone(profile, task) for task in distinct(asked)}
final = tables.gate(alone)
write_csv(final, f"{out}/training_gate.csv")
to_read = lambda table: Markdown(
    markdown(table.assign(steps_to_mastery=[f"{n:,.0f}" if n == n else "–" for n in table.steps_to_mastery]))
)
to_read(final)

# %% [markdown]
# ## When was the gate reached first?
#
# The first scheduled evaluation at or above the gate, in environment steps; empty if there was none. Scheduled evaluations
# have few episodes and success swings, so this is a hint at how many steps a position needs, not a result.

# %%
curves = pd.concat([run.curves for run in alone.values() if run] or [pd.DataFrame(columns=COLUMNS["curves"])])
first = curves[curves.success.astype(float) >= gate].groupby(["task", "seed"]).step.min().unstack()
first.map(lambda step: f"{step:,.0f}" if step == step else "–")

# %% [markdown]
# ## The picture
#
# A point is one seed, in the order of the seeds; those that pass the gate are green, the others red and below the line.

# %%
trained = trained_profile([run for run in alone.values() if run])
title = f"Plain SAC on single tasks\ntrained under profile {trained}, n = {final.seed.nunique()} seeds"
figure = figures.training_gate(final, gate, title)
Image(save_figure(figure, out, "training_gate"))

# %% [markdown]
# ## Tasks without success
#
# Atari games and the tasks of the DeepMind Control Suite have no success and no natural gate. Of a game it can be asked whether
# the learner plays better than chance: the human-normalised return is 0 for random play and 1 for a human tester. Of the
# others, the mean reward of a step lies between 0 and 1. One row a task and seed, from the last three evaluations together.

# %%
played = tables.gate({task: read_alone(profile, task) for task in distinct(games)})
played["performance"] = [unit(task) for task in played.task]
write_csv(played, f"{out}/training_gate_returns.csv")
Markdown(markdown(played.drop(columns="steps_to_mastery")))

# %% [markdown]
# ## Conclusion
#
# Computed from the values. A task that fails the gate is not excluded from any table; its numbers say less about forgetting.

# %%
passed = (
    final.assign(passed=final.value >= gate)
    .groupby("task", sort=False)
    .agg(passed=("passed", "sum"), seeds=("seed", "count"))
)
lines = [
    f"- {task}: {row.passed} of {row.seeds} seeds pass the gate." if row.seeds else f"- {task}: not run."
    for task, row in passed.iterrows()
]
for task, rows in played.dropna(subset="value").groupby("task", sort=False):
    said = (
        f"{(rows.value > 0).sum()} of {len(rows)} seeds play better than chance"
        if unit(task) == NORMALISED
        else "no gate"
    )
    lines.append(f"- {task}: {said}; {unit(task)} {', '.join(f'{value:.2f}' for value in rows.value)}.")
Markdown("\n".join(lines) or "The profile names no single tasks.")
