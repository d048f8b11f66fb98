# %% [markdown]
# # How do many seeds train at once?
#
# One run of reinforcement learning is an anecdote. Results need several seeds, and networks as small as these keep neither a
# processor nor a graphics card busy. So here the seeds are one more axis of every tensor: a *population* of agents learns in
# one program. This notebook takes one update of soft actor-critic apart, checks every piece against ordinary torch for one
# of the seeds, and shows that no seed feels the others, to the last bit.
#
# It takes a few seconds. What you need to know before: an actor, a critic, a loss.

# %% tags=["parameters"]
seeds = "0 1 2"  # the population, separated by spaces
batch = 32  # rows of a minibatch

# %% [markdown]
# ## One axis more
#
# A weight matrix of an ordinary network is `[in, out]`. Here it is `[P, C, in, out]`: P seeds, and C networks of a kind that
# stand side by side, two critics but one actor.
#
# **Predict**: observations have 5 numbers, actions 2, hidden layers 16 units. What is the shape of the critics' first weights?

# %%
from types import SimpleNamespace

import torch

from nbsp_lib.core.gaussian import Gaussian
from nbsp_lib.core.method import Method
from nbsp_lib.core.sac import make_agent

settings = SimpleNamespace(layers=(16, 16), gamma=0.99, tau=0.005, actor_lr=1e-3, critic_lr=1e-3, alpha_lr=1e-3)
population = [int(seed) for seed in seeds.split()]
make = lambda chosen: make_agent(
    Method(), [torch.Generator().manual_seed(s) for s in chosen], 5, Gaussian(2), ("task",), settings
)
agent = make(population)
{net.name: {k: tuple(p.shape) for k, p in net.params.items()} for net in agent.networks}

# %% [markdown]
# <details><summary>Answer</summary>
#
# `[3, 2, 7, 16]`: three seeds, two critics, 5 + 2 inputs (a critic sees the action too), 16 units.
# </details>
#
# A layer is then one batched product (`nbsp_lib/core/nets.py`): $h = \mathrm{ReLU}(x W + b)$ for all seeds and critics at once.
# Below, the first layer of critic 1 of the second seed, once from the population and once as a `torch.nn.Linear`.

# %%
draw = lambda kind, *shape: torch.stack(
    [kind(shape, generator=torch.Generator().manual_seed(9 + s)) for s in population]
)
rows = {
    "obs": draw(torch.randn, batch, 5),
    "action": draw(torch.rand, batch, 2) * 2 - 1,
    "reward": draw(torch.randn, batch, 1),
    "next_obs": draw(torch.randn, batch, 5),
    "done": torch.zeros(len(population), batch, 1),
}
p = 1 % len(population)
x = torch.cat([rows["obs"], rows["action"]], -1)
_, hidden = Method().forward(agent.critic, agent.critic.params, x[:, None])
linear = torch.nn.Linear(7, 16)
linear.weight.data, linear.bias.data = agent.critic.params["w0"][p, 1].T, agent.critic.params["b0"][p, 1, 0]
print("largest difference:", f"{(hidden[0][p, 1] - linear(x[p]).relu()).abs().max().item():.1g}")

# %% [markdown]
# ## The target of the critics
#
# Both critics learn the same target (`critic_loss` in `nbsp_lib/core/gaussian.py`), from the slow copies $\bar Q$ and an action
# $a'$ that the actor would take next:
#
# $$y = r + \gamma\,(1 - \mathrm{done})\,\Big(\min_c \bar Q_c(s', a') - \alpha \log \pi(a'|s')\Big)$$
#
# **Your turn**: the line marked below forgets a term. Run it, read what the check says, mend it.

# %%
from nbsp_lib.teaching.answers import check

noise = torch.stack([draw(torch.randn, batch, 2), draw(torch.randn, batch, 2).flip(1)])  # [2, P, B, A]
a, log_p, _ = agent.head.act(Method(), agent.actor, agent.actor.params, rows["next_obs"], noise[0])
q = agent.head.q_values(Method(), agent.critic, agent.target, rows["next_obs"], a)[0].amin(1)
right = rows["reward"] + settings.gamma * (1 - rows["done"]) * (q - agent.alpha * log_p)
answer = rows["reward"] + settings.gamma * (1 - rows["done"]) * q  # <- here
check(answer, right, "What does the policy get for being undecided?")

# %% [markdown]
# <details><summary>Answer</summary>
#
# `q - agent.alpha * log_p` in the place of `q`: the entropy bonus. `tests/core/test_sac.py` holds the whole update to a plain one.
# </details>
#
# ## Why a sum over seeds is no mixing
#
# The loss of a population is the *sum* of the seeds' losses. No weight of seed $p$ is in the loss of another seed, so
#
# $$\frac{\partial}{\partial \theta_p} \sum_{p'} L_{p'}(\theta_{p'}) = \frac{\partial L_p}{\partial \theta_p} .$$
#
# **Predict**: with the *mean* over seeds in the place of the sum, what would change?

# %%
from nbsp_lib.core.sac import loss_gradients

alone = make([population[p]])
one = {k: v[p : p + 1] for k, v in rows.items()}
together = loss_gradients(agent, rows, noise, Method(), settings)["critic"][0]
by_itself = loss_gradients(alone, one, noise[:, p : p + 1], Method(), settings)["critic"][0]
{k: bool(torch.equal(together[k][p], by_itself[k][0])) for k in together}

# %% [markdown]
# <details><summary>Answer</summary>
#
# Every gradient would be divided by the number of seeds, and a seed's learning would depend on how many stand beside it. With
# the sum, gradients agree bit for bit, as you see.
# </details>
#
# ## Adam, the step, the slow copy
#
# Adam works on each number by itself, so one Adam serves all seeds (`adam_steps` in `nbsp_lib/core/adam.py`); the temperature has one
# number a seed; the slow copy follows by $\bar\theta \leftarrow \bar\theta + \tau\,(\theta - \bar\theta)$. Put together, that
# is an update. Here are twenty of them, in the population and alone.

# %%
from nbsp_lib.core.sac import update
from nbsp_lib.teaching.live import digest

with torch.no_grad():
    for _ in range(20):
        update(agent, rows, None, {"sac": noise}, Method(), settings)
        update(alone, one, None, {"sac": noise[:, p : p + 1]}, Method(), settings)
bits = lambda who, i: digest(t[i] for t in who.tensors().values())
print(f"seed {population[p]} among {len(population)}: {bits(agent, p)}, alone: {bits(alone, 0)}")

# %% [markdown]
# Eight equal digits: equal bits in every weight, moment and count (`tests/training/test_train.py` asks the same of whole runs, through
# kills and restarts). It takes care to get there: a product with one column, or a power, may have another last bit beside others.
#
# ## What it brings
#
# Updates of all seeds together per second, as a multiple of textbook code that trains one seed, as recorded by
# `benchmarks/updates.py`; it is not measured anew here.

# %%
import json

from nbsp_lib.runs.files import enter_repository
from nbsp_lib.teaching import draw as pictures

enter_repository()
with open("benchmarks/results.json") as file:
    record = next(r for r in json.load(file) if r["benchmark"] == "updates" and r["device"] == "cpu" and not r["quick"])
told = {
    f"{row['what']}, batch {row['batch']}": row["ratio"]
    for row in record["tables"][0]["rows"]
    if row["what"].startswith(("plain", "ours")) and "matmul" not in row["what"]
}
figure = pictures.bars(
    told,
    f"Updates per second, all seeds together, against plain code\n{record['machine']['processor']}, one thread",
    "times as fast as one seed in plain torch",
    highlight=[name for name in told if name.startswith("ours")],
    reference=(1.0, "plain"),
)
pictures.show(figure)

# %% [markdown]
# *Alt text: bars of the speed of populations of 1, 3 and 8 seeds against plain code, for two batch sizes.*
#
# ## Exercises
#
# 1. Change `seeds` to `"1"`. Which outputs change?
# <details><summary>Answer</summary>Shapes have a 1 in front, and both digests are still equal to each other.</details>
#
# 2. A method computes the mean of its mask over *all* seeds. What breaks, and who notices?
# <details><summary>Answer</summary>A seed then depends on those beside it. `nbsp check-method` says so: "seeds are independent".</details>
#
# ## Conclusion
#
# A population is one more axis, and a sum over it gives every seed its own gradient. All randomness comes from generators of
# the seed's own, so a result does not depend on what was trained beside it. That is what makes three seeds cost less than three runs.
