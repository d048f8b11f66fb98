# %% [markdown]
# # Which part of the network, put back exactly, brings the old task back?
#
# A mask holds the incoming weights of the chosen fifth of the neurons. Could it ever keep the skill? Here nothing is trained:
# weights of the actor at the end of position 1 are put back into the actor at the end of position 2, exactly, and the result plays the old
# task. A perfect freeze of some weights, after the others have learned the new task, is such a graft.
#
# Two limits. The rest of the network was trained while the weights in question were not frozen; a network trained around frozen
# weights may end elsewhere. And Meta-World's success counts any step of an episode.

# %% tags=["parameters"]
folder = "runs/smoke/checkpoints/drawer"  # result folders of the arms of one sequence
arms = "mask-only fine-tuning nbsp replay-only"  # arms to graft, separated by spaces
states = 25  # episodes of the rollout that neurons are ranked on: half of the goals, 5,000 moments
episodes = 10  # episodes that each graft plays: the spread between seeds is larger than the error of ten goals
out = "runs/smoke/graft/drawer"  # folder for the figure and the tables

# %% [markdown]
# ## Graft and play
#
# *incoming*: the weights into the chosen neurons and their biases, what the paper's mask holds. *hidden layers*: everything but the output layer. *both ends*: also
# the weights out of these neurons. *by score*: Eq. 4 in a rollout of position 1; *by activation*: the most active in it; *at random*: one order a seed,
# the same for all arms. *restored* is the share of all weights of the actor that are then those of position 1; many are anyway, since a neuron that never
# fires does not learn.

# %%
from pathlib import Path

from IPython.display import Image, Markdown

from nbsp_lib.envs.performance import unit
from nbsp_lib.results import grafts, retention
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.study import trained_profile
from nbsp_lib.runs.files import enter_repository

enter_repository()
sequence = Path(folder).name
read = retention.read(folder, arms.split())
profile = trained_profile(read.values())
rows = grafts.graft_rows(read, states, episodes)
write_csv(rows, f"{out}/graft.csv")
table = grafts.graft_table(rows)
write_csv(table, f"{out}/graft_table.csv")
Markdown(markdown(table))

# %% [markdown]
# ## The picture
#
# Student's interval needs no more than two seeds, but of three it is as wide as it looks: $\bar x \pm 4.3\, s / \sqrt 3$.

# %%
counted = (
    ", ".join(f"{arm}: {here.seed.nunique()} seeds" for arm, here in rows.groupby("arm", sort=False))
    or "no finished runs"
)
tasks = [task for result in read.values() for task in result.run["config"]["tasks"][:1]]
figure = grafts.graft_figure(
    rows,
    f"The old task with weights of position 1 put back after position 2\nsequence {sequence}, trained "
    f"under profile {profile}; {counted}",
    unit(tasks[0]) if tasks else "success",
)
Image(save_figure(figure, out, "graft"))

# %% [markdown]
# ## Conclusion
#
# Computed from the table: mean success on the old task and its interval, of every graft.

# %%
show = lambda row: f"{row['mean']:.2f} [{row.low:.2f}, {row.high:.2f}]"
lines = []
for arm, here in table.groupby("arm", sort=False):
    found = here.set_index("graft")
    told = [f"{graft} {show(found.loc[graft])}" for graft in found.index if graft != "everything"]
    lines.append(
        f"- **{arm}** ({found.n.iloc[0]} seeds), of {show(found.loc['everything'])} before position 2: {'; '.join(told)}."
    )
for arm, (mean, low, high) in grafts.paired(
    rows, ("both ends", "activation", 0.8), ("both ends", "score", 0.8)
).items():
    lines.append(
        f"- **{arm}**: 80 % by activation less 80 % by score, paired by seed: {mean:+.2f} [{low:+.2f}, {high:+.2f}]."
    )
Markdown("\n".join(lines) or "No arm has finished two positions, so nothing was put back.")
