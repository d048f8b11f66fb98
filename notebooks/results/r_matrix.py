# %% [markdown]
# # What does an arm know after each position?
#
# All metrics of the main table are read off one object: R[i, τ], the success on task τ after position i. This notebook
# shows it whole, for every arm of one sequence. It reads recorded results and takes a few seconds on a CPU.
#
# R is what the last three evaluations of a position give together, and the csv says of how many episodes (column `episodes`).
# Runs that can stop at mastery play every goal once in three evaluations, older ones every goal once in each of the three.
# Three matter, since one snapshot can swing between success and failure within a few thousand steps, and
# forgetting takes a maximum over positions, which noise pushes upwards.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
out = "runs/smoke/r_matrix/window"  # folder for the figure and its data

# %% [markdown]
# ## What there is
#
# The accounting says how many seeds of an arm finished all positions. Cells below are means over the seeds that got that
# far, so an early cell can rest on more seeds than a late one; the csv next to the figure has every seed.

# %%
from IPython.display import Image, Markdown

from nbsp_lib.envs.performance import SUCCESS
from nbsp_lib.results import figures
from nbsp_lib.results.notes import accounting, footnotes
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.study import open_study, performances

study = open_study(params_file, sequence)
write_csv(study.table("R"), f"{out}/r_matrix.csv")
if study.unit != SUCCESS:
    print(f"performance, wherever this page says success: {study.unit}")
Markdown(markdown(accounting(study)))

# %% [markdown]
# ## How to read the picture
#
# A row is an arm, a group of columns is the state after one position, and inside a group there is one column per task. The
# framed cell is the task that was just trained: the mean over framed cells is plasticity. Follow one task through the
# groups to the right: where an unframed cell is paler than it was before, that is what forgetting counts. The
# last group is what ASR averages. Grey means that no seed has got there.

# %%
matrix, order = performances(study)
title = study.title(f"{study.unit.capitalize()} on each task after each position (frame: the task just trained)")
figure = figures.r_matrix(matrix, study.arms, study.names, order, title, study.unit)
Image(save_figure(figure, out, "r_matrix"))

# %% [markdown]
# ## Conclusion
#
# Computed from R: for each arm the largest loss of a task from one position to the next, averaged over the seeds that
# finished both. A loss of one means a task solved in every episode before and in none after.

# %%
lines = []
for arm, R in matrix.items():
    whole = R[(R == R).all((1, 2))]
    if len(whole) and len(order) > 1:
        loss = (whole[:, :-1] - whole[:, 1:]).mean(0)
        i, task = divmod(int(loss.argmax()), loss.shape[1])
        where = f"most on {study.names[task]} in position {i + 2}: {loss[i, task]:.2f}" if loss.max() > 0 else "nothing"
        lines.append(f"- **{arm}** loses {where} (seeds: {len(whole)}).")
Markdown("\n".join(lines + [f"- {note}" for note in footnotes(study)]) or "Nothing to compare yet.")
