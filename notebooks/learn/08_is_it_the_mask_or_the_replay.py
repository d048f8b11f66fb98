# %% [markdown]
# # Is it the mask or the replay?
#
# NBSP holds skill neurons back and replays a little. When it keeps an old task, which of the two did it? Runs of one switch answer: the first task
# is learned to mastery, every arm of a seed goes on from the same network, and the second task is learned for the same number of steps
# ([profile retention](../../profiles/retention/params.yaml)). You split the difference into two parts, ask at which dose of replay it was made,
# and then put weights back by hand to see what a mask could have kept at best.
#
# Nothing is trained; a minute. What you need to know before: notebooks 04 and 05.

# %% tags=["parameters"]
folder = "data/retention/window-once"  # result folders of the arms
arm = "mask-only"  # whose actor gets old weights back
seeds = [0, 1]  # of the grafts: each takes some seconds

# %% [markdown]
# ## Two switches, four arms
#
# | | no replay | every 10th update replays |
# | --- | --- | --- |
# | no mask | `fine-tuning` | `replay-only` |
# | mask | `mask-only` | `nbsp` |
#
# This is a design with two factors. With $r_{mp}$ the success on the old task at the end, $m$ and $p$ saying whether there is a mask and a replay,
# the effect of each factor in one seed is the mean of two differences,
#
# $$\Delta_\text{mask} = \tfrac{1}{2}\big[(r_{11} - r_{01}) + (r_{10} - r_{00})\big], \qquad
# \Delta_\text{replay} = \tfrac{1}{2}\big[(r_{11} - r_{10}) + (r_{01} - r_{00})\big].$$
#
# **Predict**: which of the two is larger, and in how many seeds has each the same sign?

# %%
from nbsp_lib.results import retention
from nbsp_lib.runs.files import enter_repository
from nbsp_lib.runs.settings import load_profile

enter_repository()
plan = load_profile("profiles/retention/params.yaml")
read = retention.read(folder, plan.grid.train)
old_task, new_task = read["nbsp"].run["config"]["tasks"]
rows = retention.seed_rows(read)
r = rows.pivot(index="seed", columns="arm", values="old")[["fine-tuning", "mask-only", "replay-only", "nbsp"]].dropna()
r.round(2)

# %% [markdown]
# **Your turn**: the effect of replay, seed by seed. The line below mixes both factors: it goes from neither to both.

# %%
from nbsp_lib.teaching.answers import check

mask = ((r["nbsp"] - r["replay-only"]) + (r["mask-only"] - r["fine-tuning"])) / 2
replay = r["nbsp"] - r["fine-tuning"]
right = ((r["nbsp"] - r["mask-only"]) + (r["replay-only"] - r["fine-tuning"])) / 2
check(replay, right, "Hold the mask fixed, once on and once off.", name="the effect of replay")

# %% [markdown]
# <details><summary>Answer</summary>
#
# `replay = ((r["nbsp"] - r["mask-only"]) + (r["replay-only"] - r["fine-tuning"])) / 2`. Differences of arms by hand:
# `tests/results/test_retention.py`.
# </details>
#
# What these seeds can say is an interval, and Student's of few seeds is wide (`nbsp_lib/results/intervals.py`):

# %%
from nbsp_lib.results.intervals import interval

for name, effect in (("mask", mask), ("replay", right)):
    mean, low, high = interval([(1.0, effect)])
    print(f"{name:7} {mean:+.2f} [{low:+.2f}, {high:+.2f}]   above 0 in {(effect > 0).sum()} of {len(effect)} seeds")

# %% [markdown]
# ## The guard: what was learned
#
# Who learns nothing forgets nothing. So the new task stands beside the old one, a point for each seed. Arms that are planned and were not
# trained have their row too.

# %%
from nbsp_lib.results import switch_questions as questions
from nbsp_lib.teaching import draw

asked = {group.name: group for group in questions.groups()}
table = questions.arm_table(rows, asked["E1"])
draw.show(questions.arms_figure(rows, table, (old_task, new_task), "Mask, replay, both, neither: after one switch"))

# %% [markdown]
# *Alt text: two panels, the old and the new task, success from 0 to 1; a row an arm with one hollow point a seed, a tick at the mean and a
# line for the interval. With replay the points of the old task lie far to the right of those without.*
#
# ## The dose
#
# A fair question about a mask holds the replay equal. Dose is the share of the rows an update learns from that come from the store
# ([the rules](../../data/verdict_rules.md)): $1/k$ for NBSP, the share of the batch for `er`.

# %%
from nbsp_lib.results.evidence import dose

doses = questions.arm_table(rows, asked["E5"]).set_index("arm")
for name in sorted((name for name in doses.index if name in read), key=lambda name: dose(read[name].run)):
    print(
        f"dose {dose(read[name].run):4.2f}  {name:16} old {questions.cell(doses.loc[name], 'old'):20} new {questions.cell(doses.loc[name], 'new')}"
    )
print("planned, not run:", ", ".join(name for name in doses.index if name not in read) or "-")

# %% [markdown]
# ## What could a mask have kept?
#
# A mask that holds a set of weights perfectly leaves them as they were when the first task ended. That can be had without training: put these weights of
# position 1 back into the actor after position 2, exactly, and let it play the old task (`nbsp_lib/results/grafts.py`).
#
# **Predict**: put back the incoming weights of the chosen fifth of the neurons, as the paper's mask holds them. And then both ends of 80 %.

# %%
from dataclasses import replace

from nbsp_lib.results import grafts

few = {arm: replace(read[arm], run=read[arm].run | {"seeds": seeds})}
grafted = grafts.graft_rows(few, states=15, episodes=10)
draw.show(
    grafts.graft_figure(
        grafted, f"Weights of position 1 put back after position 2: {arm}, {len(seeds)} seeds", "success"
    )
)

# %% [markdown]
# *Alt text: a row for each set of weights that is put back, from nothing to everything, with one hollow point a seed for the success on the old task, a
# tick at the mean and a line for the interval, which for two seeds is nearly the whole width.*
#
# <details><summary>Answer</summary>
#
# Compare the rows *incoming*, what the paper's mask holds, *both ends* and *everything*: what is missing up to the last is what the other weights
# say by then. Which neurons matter is seen by the order, *by activation*, *by score*, *at random*, at the same share. All seeds and
# their intervals: [the page of grafts](../results/graft.ipynb).
# </details>
#
# ## Exercises
#
# 1. Set `arm = "replay-only"`. Is there anything to bring back?
# <details><summary>Answer</summary>The row *nothing* is high already in seeds where replay kept the task. There grafts can also do harm: old weights
# among new ones that have moved on with the rest.</details>
#
# 2. A graft is a perfect freeze *after* training. Why may a freeze *during* training do better, or worse?
# <details><summary>Answer</summary>Better: the free weights learn around the frozen ones and may end elsewhere. Worse: neurons that were silent on the old
# task can wake up on its states, which no mask on the others prevents. The arms `freeze-…` and `quiet` of the profile retention ask this.</details>
#
# 3. How many seeds would the interval of the mask's effect need to exclude 0.05, if its spread stayed as it is?
# <details><summary>Answer</summary>Solve $t_{n-1}\, s / \sqrt n \le |\bar d - 0.05|$ for $n$ with `mask.std()` and `mask.mean()`. Then look at how many the
# rules ask for.</details>
#
# ## Conclusion
#
# Two factors need four arms, one network to start from, and the new task as a guard. What a difference between arms means depends on the dose of replay
# on both sides. A graft shows what the best mask on the same weights could have kept, and two seeds of it show where to look, not what is so.
