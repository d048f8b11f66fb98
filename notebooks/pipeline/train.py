# %% [markdown]
# # How is one run trained?
#
# One sequence of tasks, one arm, a few seeds: this notebook trains what is still missing of them and ships the result. It
# is the experiment cell of the whole artifact; the pipeline calls it once for every sequence and arm, and a batch on a
# cluster calls it with its own parameters.
#
# It takes seconds under the profile smoke and hours under laptop. It can be stopped at any time: the state is saved at
# the end of a round of episodes, outside the results, and the same call goes on from there. Finished seeds are left alone.
#
# Position 1 of a sequence is the same for every arm that starts as plain SAC. It is trained once for each seed and forked.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # the profile: budget, settings, arms
sequence = "window"  # name of a cycling sequence, or a single task
arm = "nbsp"  # an arm of the profile
seeds = []  # seeds to train; empty: those of the profile
population = 1  # seeds trained together as one tensor program: 1 on a CPU, many on a GPU
positions = 0  # stop after so many positions of the sequence; 0: all
device = "cpu"  # cpu or cuda
workers = 0  # processes that step the environments, for a GPU; 0: this one
compile = False  # on a CPU: compile the update, which needs a C++ compiler; faster, and other last bits
out = "runs/smoke/checkpoints/window/nbsp"  # result folder

# %% [markdown]
# ## What is asked for
#
# Everything that decides the training is in the cell printed below: the tasks in their order, the method with all its
# settings, the budget. Its hash names the state of the run, so a changed setting can never go on from a stale state.
# Wrong names and values are refused here, before any training.

# %%
import json

import pandas as pd

from nbsp_lib.runs import settings
from nbsp_lib.runs.export import ship
from nbsp_lib.runs.files import enter_repository, read_csv
from nbsp_lib.runs.run import Placement, Run
from nbsp_lib.runs.train_run import train_run

enter_repository()
profile = settings.load_profile(params_file)
seeds = settings.check_seeds(seeds or list(profile.seeds))
run = Run(profile, sequence, arm)
placement = Placement(population, positions or None, device, workers, compile)
print(json.dumps(run.config, indent=1))

# %% [markdown]
# ## Training
#
# The loop is the one in `nbsp_lib/training/trainer.py`, the same for every method. Progress is written to `progress.json` beside the
# state; `nbsp status` reads it.

# %%
train_run(run, seeds, placement)
finished = ship(run, seeds, out)
pd.Series(finished, name="positions finished").rename_axis("seed").to_frame()

# %% [markdown]
# ## What came out
#
# The success on every task after each position, from the last three evaluations of that position together. A seed that
# diverged keeps its last good state and is named in `run.json`; it is never dropped in silence.

# %%
R = read_csv(f"{out}/R.csv")
R.pivot_table(index=["seed", "position", "training_task"], columns="task", values="success")

# %% [markdown]
# ## What the scores saw
#
# For each network and position: the base rate is what a neuron that never fires would score. Where the chosen neurons do
# not score above it, protecting them protects nothing.

# %%
scores = read_csv(f"{out}/scores.csv")
scores.drop(columns=["neurons", "chosen"]).round(3)
