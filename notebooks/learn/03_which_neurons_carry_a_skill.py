# %% [markdown]
# # Which neurons carry a skill?
#
# An agent that can open a window is a few hundred numbers between an observation and an action. Do some of these *neurons*
# carry the skill more than others? The paper answers with a count that one can do by hand: go through an episode step by
# step, and ask of every neuron whether it is unusually active just when the goal is reached. This notebook does the count on
# six steps, then on a real agent, and then looks at single neurons beside the film of what the arm did.
#
# It trains nothing and takes about a quarter of a minute. What you need to know before: what a hidden layer is.

# %% tags=["parameters"]
film = "film-window-open-learned"  # which shipped episode to look at: …-learned, …-forgotten or …-nbsp
network = "actor"  # whose neurons: actor, critic0 or critic1
layer = 1  # 1 or 2

# %% [markdown]
# ## By hand
#
# Three neurons $N$ at six steps $t$: their activations $a(N, t)$, and the goal metric $q(t)$, here 1 where the window is open.
# A neuron is *unusually active* where it is above its own mean, and things *go unusually well* where $q$ is above its mean
# (equations 1 and 2, [docs/protocol.md](../../docs/protocol.md)):
#
# $$\bar a(N) = \operatorname{mean}_t a(N, t) \qquad \bar q = \operatorname{mean}_t q(t)$$
#
# **Predict**: neuron 0 rises with success, neuron 1 falls with it, neuron 2 never fires. Which of them would you protect?

# %%
import torch

a = torch.tensor(
    [[0.0, 3.0, 0.0], [0.2, 2.0, 0.0], [0.1, 2.5, 0.0], [0.3, 2.8, 0.0], [1.9, 0.1, 0.0], [2.0, 0.0, 0.0]]
)  # [T, N]
q = torch.tensor([0.0, 0, 0, 0, 1, 1])  # [T]
active, good = a > a.mean(0), q > q.mean()
active.int(), good.int()

# %% [markdown]
# *Accuracy* is the share of steps on which the two agree (equation 3), and because a neuron that is quiet on success tells as
# much as one that fires, the *score* takes whichever is larger (equation 4):
#
# $$\mathrm{Acc}(N) = \operatorname{mean}_t \mathbb{1}\big[\mathbb{1}[a(N,t) > \bar a(N)] = \mathbb{1}[q(t) > \bar q]\big]
# \qquad \mathrm{Score}(N) = \max(\mathrm{Acc},\, 1 - \mathrm{Acc})$$
#
# **Your turn**: the line below counts accuracy, but forgets equation 4. Run it, read what the check says, mend it.

# %%
from nbsp_lib.core.neurons import skill_scores
from nbsp_lib.teaching.answers import check

answer = (active == good[:, None]).float().mean(0)  # [N]
right = skill_scores(a[None], q[None])[0]  # the library: nbsp_lib/core/neurons.py
check(answer, right, "Neuron 1 is quiet on success, on every step: that is knowledge too.")

# %% [markdown]
# <details><summary>Answer</summary>
#
# `accuracy = (active == good[:, None]).float().mean(0)`, then `answer = torch.maximum(accuracy, 1 - accuracy)`. Neurons 0 and
# 1 both score 1. The library's function (`nbsp_lib/core/neurons.py`) is held to a table like this one by `tests/core/test_neurons.py`.
# </details>
#
# ## The trap: a neuron that never fires
#
# Neuron 2 is dead, and still it scores 4/6. It is "not unusually active" on every step, and on four of six steps the goal is
# "not reached", so it agrees there. A silent neuron scores the **base rate** $\max(\bar q, 1 - \bar q)$, whatever it does not do.
#
# **Predict**: in an episode where the goal is reached on 5 % of the steps, what does a dead neuron score, and how many living
# ones will beat it?

# %%
rare = torch.zeros(200)
rare[-10:] = 1.0
dead, noisy = torch.zeros(200), torch.rand(200, generator=torch.Generator().manual_seed(0))
both = torch.stack([dead, noisy], 1)[None]
{name: skill_scores(both, rare[None], name)[0].tolist() for name in ("paper", "balanced")}

# %% [markdown]
# <details><summary>Answer</summary>
#
# The dead one scores 0.95, the noisy one about one half. A mask made of the best-scored neurons would protect dead ones first.
# The *balanced* score (ours) averages the hit rates on goal steps and on the others, which gives a dead neuron 0.5.
# </details>
#
# ## A real agent
#
# The same count on an agent of this artifact: ten episodes of `window-open`, 200 steps each, on the networks as they ship.
# The film below is one of these episodes. *Firing* are the neurons that were active at all in that one, scores are over all ten.

# %%
import pandas as pd

from nbsp_lib.runs.files import enter_repository
from nbsp_lib.teaching import draw, explorer

enter_repository()
episode = explorer.watch(film)
rows = [
    {
        "network": net,
        "layer": i + 1,
        "neurons": len(s),
        "firing": int((episode.activations[net][i].max(0) > 0).sum()),
        "best score": s.max(),
        "above base rate": int((s > episode.base + 1e-6).sum()),
    }
    for net, layers in episode.scores.items()
    for i, s in enumerate(layers)
]
print(f"base rate {episode.base:.3f}")
pd.DataFrame(rows).round(3)

# %% [markdown]
# Choose any neuron, in JupyterLab with the mouse or with Tab and the arrow keys: *rank 0* is the best-scored neuron of a layer
# that fires. Move *step* and watch where its activation stands when the gripper reaches the handle.

# %%
explorer.explore(episode)

# %% [markdown]
# ## What the best ones do
#
# The best-scored firing neuron of the layer chosen above, without any widget. Green is where the goal is reached.

# %%
first = explorer.best(episode, network, layer)[0]
figure = explorer.picture(episode, network, layer, first, step=60)
draw.show(figure)

# %% [markdown]
# *Alt text: above, eight pictures of the arm and the window along one episode; below, the activation of the best-scored neuron
# as a line over 200 steps, its mean dashed, the steps with the goal reached in green.*
#
# ## Exercises
#
# 1. Set `film` to `film-window-open-forgotten` and run again. What happens to the scores, and why?
# <details><summary>Answer</summary>The agent never reaches the goal, so q is constant and nothing can be scored: the library says
# so (`status = unscored`), keeps the old mask, and the table shows NaN.</details>
#
# 2. Is the best neuron *needed*? A score is a correlation.
# <details><summary>Answer</summary>Switch neurons off and play: notebook `silencing` of the report does that, with random neurons
# to compare.</details>
#
# ## Conclusion
#
# A skill neuron is one whose unusual activity coincides with unusual success. The count is simple, and simple to fool: where
# success is rare or nearly certain, silent neurons score high. Whoever protects neurons by their score has to look at the base rate first.
