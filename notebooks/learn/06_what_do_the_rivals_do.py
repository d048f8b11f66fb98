# %% [markdown]
# # What do the rivals do?
#
# NBSP is one answer to forgetting; many others were there before. They differ in what they change: the loss, the steps, the
# units, the network, or the data. This notebook lets ten methods learn the same two tasks with the same small network, the
# real cart and pole of the DeepMind Control Suite, and looks at one thing in all of them: how far each weight of the actor
# moved while the second task was learned. It is a picture of mechanisms, not a comparison of results; for that, see
# [notebook 07](07_what_did_we_find.ipynb).
#
# It trains ten agents live and takes about half a minute.

# %% tags=["parameters"]
steps = 1500  # environment steps of each of the two tasks
seed = 0  # one is enough to see a mechanism

# %% [markdown]
# ## Five places to interfere
#
# | place | methods | what is done |
# | --- | --- | --- |
# | loss | EWC, ANCL, ClonEx | a penalty for leaving old weights, or old actions |
# | steps | NBSP, NPC, PackNet, Slow | some weights move less, or not at all |
# | units | CBP, ReDo | useless units are made new |
# | network | CReLU, PI, CoTASP, NE | another form, fresh heads, units switched on by task |
# | data | ER, CLEAR, NBSP | old experience is replayed |
#
# Formulas, sources and departures of each: [docs/methods.md](../../docs/methods.md); each is one file of `nbsp_lib/methods/`,
# held to its formulas by a test of its name (`tests/methods/test_ewc.py`). EWC, for one, adds to the loss
#
# $$\lambda \sum_i F_i\,(\theta_i - \theta_i^*)^2 ,$$
#
# where $\theta^*$ are the weights at the last task end and $F_i$ says how much the policy depends on weight $i$.
#
# **Predict**: which methods leave some weights *exactly* where they were? Which move more than plain fine-tuning?

# %%
from nbsp_lib.teaching import draw, live

ARMS = ("fine-tuning", "nbsp", "ewc", "ancl", "clonex", "npc", "packnet", "slow", "cbp", "redo")
learned = {
    arm: live.train(
        "cartpole",
        arm,
        (seed,),
        2,
        profile="profiles/smoke/params.yaml",
        layers=(32, 32),
        envs=4,
        episode=125,
        steps=steps,
        random_steps=500,
        evaluations=3,
    )
    for arm in ARMS
}
for arm, one in learned.items():
    print(f"{arm:12}", *(f"{task} {live.end_of(one, task).mean():.2f}" for task in one.trainer.tasks))

# %% [markdown]
# Settings are those of the profile `smoke`, in which CBP and ReDo renew units often enough to be seen in so short a time. The
# numbers are mean rewards of a step: in so few steps no arm has learned much, and that is not the point.
#
# ## How far did each weight move?
#
# The actor's weights between its two hidden layers, before and after the second task:
# $|\theta^{\text{after}} - \theta^{\text{before}}|$, one square a weight, all methods on one scale.

# %%
moved = {
    arm: (one.trainer.agent.actor.params["w1"] - one.before["w1"]).abs()[0, 0].numpy() for arm, one in learned.items()
}
figure = draw.heat(
    moved,
    "How far each weight moved while the second task was learned",
    "distance",
    columns=5,
    largest=float(sorted(moved["fine-tuning"].ravel())[-20]),
)
draw.show(figure)

# %% [markdown]
# *Alt text: ten squares of 32 by 32 weights. Fine-tuning is speckled; NBSP has darker columns, the held neurons; EWC and ANCL are
# dark but for a few weights; PackNet has single dark weights all over; Slow is darker as a whole; CBP and ReDo have bright lines
# where a unit was made new.*
#
# **Your turn**: what share of weights did not move at all under PackNet? The line below counts the wrong arm.

# %%
from nbsp_lib.teaching.answers import check

still = {arm: float((distance == 0).mean()) for arm, distance in moved.items()}
answer = still["fine-tuning"]
check(answer, still["packnet"], "Of four positions, the first keeps a quarter of what it uses of each kernel for good.")

# %% [markdown]
# <details><summary>Answer</summary>
#
# `answer = still["packnet"]`. The first position keeps a quarter of what it uses of each kernel; the second learns with the rest,
# which was set to zero when it began. Weights from inputs that are always zero, or into or out of silent units, stand still too,
# in fine-tuning as well.
# </details>
#
# ## One number each
#
# The same, as the mean over all weights of the actor, relative to fine-tuning. Read it with the picture: a method that holds
# *some* weights entirely and one that slows *all* of them can have the same mean.

# %%
distance = lambda one: sum((one.trainer.agent.actor.params[k] - p).abs().sum().item() for k, p in one.before.items())
share = {arm: distance(one) / distance(learned["fine-tuning"]) for arm, one in learned.items()}
figure = draw.bars(
    share,
    "Movement of the actor's weights in the second task, relative to fine-tuning",
    "times fine-tuning",
    highlight=("nbsp",),
    reference=(1.0, "fine-tuning"),
)
draw.show(figure)

# %% [markdown]
# *Alt text: ten bars, one a method; fine-tuning is 1; methods of the rows "loss" and "steps" lie mostly below it.*
#
# ## Exercises
#
# 1. CReLU, PI, CoTASP and NE are not in the picture. Why would it be hard to draw them beside the others?
# <details><summary>Answer</summary>Their networks have other shapes, or units that are switched on and off, so "the same weight" does
# not exist. Their mechanisms are described in docs/methods.md and held to oracles in `tests/`.</details>
#
# 2. `er` replays half of every batch. What would its square look like?
# <details><summary>Answer</summary>Much like fine-tuning's: replay changes where the weights go, not how far they may.</details>
#
# 3. Why may a penalty (EWC) leave no weight exactly where it was?
# <details><summary>Answer</summary>A penalty pulls, it does not hold: the gradient of the task is there at every step.</details>
#
# ## Conclusion
#
# Methods against forgetting are easier to tell apart by what they change than by their names. Penalties pull, masks hold,
# renewals replace, replay changes the question. Whether any of it helps is an empirical matter, and a mean hides where it acts.
