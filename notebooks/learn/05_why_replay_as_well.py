# %% [markdown]
# # Why replay as well?
#
# NBSP does two things: it holds back the steps of skill neurons, and in every tenth update it replays a little experience of
# earlier tasks. Is the mask not enough? Is the replay? The four combinations are four arms of this artifact, and they answer
# on real runs. Then you look into the replay itself: how much it is, and what a batch of it looks like.
#
# It takes a quarter of a minute. What you need to know before: notebooks 01 and 04.

# %% tags=["parameters"]
sequence = "window"  # whose shipped runs are compared: window, cartpole or boxing-road-runner
position = 2  # after which position to look, from 2 on

# %% [markdown]
# ## Four arms
#
# | arm | holds skill neurons back | replays |
# | --- | --- | --- |
# | `fine-tuning` | no | no |
# | `mask-only` | yes | no |
# | `replay-only` | no | every 10th update |
# | `nbsp` | yes | every 10th update |
#
# Until the first task end all four learn alike, seed by seed; their position 1 is the same to the last bit where one version of
# the library trained them on one kind of machine, and the printout below says where it is not. Which rows an update learns from is one line of
# the method (`nbsp_lib/methods/nbsp.py`): with a period $k$ and update number $n$,
#
# $$\text{rows}(n) = \begin{cases} \text{stored experience of an earlier task} & n \bmod k = 0 \\ \text{recent experience} & \text{else.}\end{cases}$$
#
# **Predict**: rank the four by what is left of the first task after the second was learned.

# %%
import numpy as np

from nbsp_lib.results.study import open_study, performances

ARMS = ("fine-tuning", "mask-only", "replay-only", "nbsp")
study = open_study("params.yaml", sequence, ARMS)
R, order = performances(study)
first, second = study.names[order[0]], study.names[order[1]]
for arm, values in R.items():
    alike = np.array_equal(values[:, 0], R["fine-tuning"][:, 0], equal_nan=True)
    kept, learned = values[:, position - 1, order[0]], values[:, position - 1, order[position - 1]]
    print(
        f"{arm:12} {first}:",
        *(f"{x:5.2f}" for x in kept),
        f"   {study.names[order[position - 1]]}:",
        *(f"{x:5.2f}" for x in learned),
        "" if alike else "  (its position 1 was trained apart)",
    )

# %% [markdown]
# <details><summary>Answer</summary>
#
# On the shipped `window` runs fine-tuning and the mask alone end near zero on the first task in most seeds, and both arms with
# replay keep it. Look at the columns: three seeds, and not all of them agree.
# </details>
#
# ## What a mask cannot do
#
# A mask of the skill neurons holds a fifth of the neurons back, to a fraction of their steps. But the *output* is a sum over
# all neurons, and the other four fifths move freely. What the held neurons still say is drowned in what the free ones have
# learned to say. Replay acts on the output itself: it asks the network, every tenth time, to be right on the old states.
#
# How little that is can be computed. Of a position's updates, what share replays, and from how many rows?

# %%
from nbsp_lib.results.positions import budget

train, arm = study.results["nbsp"].run["config"]["train"], study.results["nbsp"].run["config"]["settings"]
steps = study.results["nbsp"].R.groupby("position").steps.first()  # that the first seed took in each position
updates = (steps[position] - train["random_steps"]) * train["updates_per_step"]
stored = min(int(train["store"] * budget(train, position - 1)), steps[position - 1])
print(
    f"{updates:,.0f} updates in position {position}; {stored:,} rows of the task before are kept, of {steps[position - 1]:,}"
)

# %% [markdown]
# **Your turn**: how many of these updates learn from stored rows? The line below takes the share of rows for the
# share of updates.

# %%
from nbsp_lib.teaching.answers import check

answer = updates * train["store"] * train["store"]
check(answer, updates / arm["replay_every"], "Every how many updates?")

# %% [markdown]
# <details><summary>Answer</summary>
#
# `answer = updates / arm["replay_every"]`. `tests/methods/test_nbsp.py` counts them in a run.
# </details>
#
# ## Replay, live
#
# The period is part of the method's state, so that one program serves before and after the first task end: at first it is a
# number no run reaches, and nothing is replayed. In miniature, on the trial that checks every method:

# %%
import torch

from nbsp_lib.methods.nbsp import NBSP
from nbsp_lib.methods.trial import Trial

trial = Trial(lambda: NBSP(replay_every=10))
recent, stored_rows = torch.zeros(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.long)
replays = lambda: [n for n in range(1, 31) if trial.method.rows(torch.tensor([[n]]), recent, stored_rows).any()]
print("before the first task end:", replays())
trial.learn()
trial.finish()
print("after it:", replays())

# %% [markdown]
# ## The picture
#
# Performance on both tasks through all positions, arm by arm: the four combinations.

# %%
from nbsp_lib.teaching import draw

parts = {name: result.curves for name, result in study.results.items()}
draw.show(draw.curves(parts, study.names, study.title("Mask, replay, both, neither"), study.unit))

# %% [markdown]
# *Alt text: four panels, one an arm; in each, a line for each of the two tasks over the positions of the cycle. With replay the
# task that is not trained stays up for longer.*
#
# And the film: the arm on `window-open` after `window-close` was learned too, unprotected above, with NBSP below.

# %%
from IPython.display import Image, display

for name in ("forgotten", "nbsp"):
    display(Image(f"docs/films/film-window-open-{name}.png", alt=f"Eight pictures of the arm on window-open: {name}"))

# %% [markdown]
# ## Exercises
#
# 1. If replay does most of the work, what is the mask good for?
# <details><summary>Answer</summary>That is claim C3 of the ledger (notebook 07): compare `nbsp` with `replay-only` in ASR and FM, and
# count the seeds behind the difference before you believe it.</details>
#
# 2. Set `sequence = "cartpole"`. Why does everything look fine there?
# <details><summary>Answer</summary>The two tasks of the cart share most of what has to be known (notebook 01), so there is little to
# protect in the first two positions.</details>
#
# ## Conclusion
#
# A mask keeps neurons, replay keeps answers. On the shipped runs a little replay preserves what a mask alone does not, and
# whether the mask adds to it is a question for the ledger, with the number of seeds at hand. Costs are small for both: one gather, one product.
