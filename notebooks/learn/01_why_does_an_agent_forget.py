# %% [markdown]
# # Why does an agent forget?
#
# A robot arm learns to open a window. Then it learns to close it, and when it is asked to open it again, it cannot. Nothing was
# erased: the network is the same, only its weights moved on. This notebook shows what that looks like in a real agent, trains a
# small one live in which it does *not* happen, and asks what the difference is.
#
# It trains for about half a minute. What you need to know before: an agent has an actor (what to do) and critics (what it is worth).

# %% tags=["parameters"]
steps = 8000  # environment steps of each task of the live part
seeds = "0 1"  # of the live part, trained together
window = 0  # seed of the shipped agents that are looked at

# %% [markdown]
# First, is everything there? `nbsp doctor` checks the installation and says what to do where something is missing.

# %%
import subprocess
import sys

from nbsp_lib.runs.files import enter_repository

enter_repository()
doctor = subprocess.run([sys.executable, "-m", "nbsp_lib.cli", "doctor"], capture_output=True, text=True)
broken = [line for line in doctor.stdout.splitlines() if line.startswith("FAIL")]
print("\n".join(broken) or "nbsp doctor: nothing is broken")

# %% [markdown]
# ## What forgetting looks like
#
# Two film strips of one shipped agent on `window-open`, from the same start. Above, just after it learned the task. Below, the
# same agent after it went on to learn `window-close`, without any protection (arm `fine-tuning`).
#
# **Predict**: what will the arm do in the second strip? Stand still, move at random, or do something that makes sense?

# %%
from IPython.display import Image, display

for name in ("learned", "forgotten"):
    display(Image(f"docs/films/film-window-open-{name}.png", alt=f"Eight pictures of the arm on window-open: {name}"))

# %% [markdown]
# <details><summary>Answer</summary>
#
# It stays near where the *other* task is done, to the right of the handle. The network still maps every observation to an
# action, with as much conviction as before; what it maps `window-open` to now is what `window-close` has taught it.
# </details>
#
# In numbers: success on both tasks through the cycle open → close → open → close, three seeds, from the files that are shipped.
# $R[i, \tau]$ is the performance on task $\tau$ after position $i$, and position $f(\tau)$ the first that trained it; *forgetting*
# is how far it falls below its best since then ([docs/protocol.md](../../docs/protocol.md), `nbsp_lib/results/metrics.py`):
#
# $$\mathrm{FM} = \operatorname{mean}_{i,\ \tau \ne \tau_i,\ f(\tau) < i} \Big( \max_{f(\tau) \le l < i} R[l, \tau] - R[i, \tau] \Big)$$

# %%
from nbsp_lib.results.study import performances, read_study
from nbsp_lib.runs.settings import load_profile
from nbsp_lib.teaching import draw

study = read_study(load_profile("params.yaml"), "window", ("fine-tuning",))
curves = study.results["fine-tuning"].curves
draw.show(
    draw.curves({"fine-tuning": curves}, study.names, study.title("An unprotected agent, cycle after cycle"), "success")
)

# %% [markdown]
# *Alt text: success on the two tasks over four positions. Each task rises while it is trained and falls to zero while the other is.*
#
# **Your turn**: forgetting of the first task in position 2, seed by seed, from R. The line below has the two ends the wrong way round.

# %%
from nbsp_lib.teaching.answers import check

R, order = performances(study)
R = R["fine-tuning"]  # [P, K, M]: seed, position, task
answer = R[:, 1, 0] - R[:, 0, 0]
check(answer, R[:, 0, 0] - R[:, 1, 0], "Forgetting is positive where something was lost.")

# %% [markdown]
# <details><summary>Answer</summary>
#
# `answer = R[:, 0, 0] - R[:, 1, 0]`. `tests/results/test_metrics.py` computes FM by hand.
# </details>
#
# ## Where did it go?
#
# The two networks can be asked the same question. Roll the agent of position 1 out on `window-open`, and at every observation
# ask the actor of position 2 as well what it would do. If forgetting were damage, its answers would be noise.

# %%
import torch

from nbsp_lib.envs.metaworld import MetaWorld
from nbsp_lib.runs.state import load_agent

(before, method), (after, _) = (load_agent("data/checkpoints/window/fine-tuning", k, [window]) for k in (1, 2))
said = lambda agent, obs: agent.head.act(method, agent.actor, agent.actor.params, obs, None)[0]
env, answers = MetaWorld("window-open", (window,), 10, 200), []
obs = torch.from_numpy(env.reset(torch.arange(10)[None].numpy()))
for _ in range(100):
    answers.append(torch.stack([said(before, obs)[0], said(after, obs)[0]]))
    obs = torch.from_numpy(env.step(said(before, obs).numpy())[0])

# %%
answers = torch.stack(answers)  # [T, 2, episodes, A]
apart = (answers[:, 0] - answers[:, 1]).abs().mean((0, 1))
print("mean distance between the two actors' actions (x, y, z, gripper):", *(f"{x:.2f}" for x in apart))
print("size of the second one's actions:", f"{answers[:, 1].abs().mean():.2f} of at most 1")

# %% [markdown]
# They differ widely on states that the first one knew well, and the second one's actions are as large and as sure as ever. It
# did not lose the ability to act; it was never asked again to act *there*. Gradients came only from the states of the new
# task, and the weights that both share went wherever those wanted them.
#
# ## Live: two tasks that do not fight
#
# **Predict**: a cart learns to keep a pole up (`cartpole-balance`), then to swing it up from hanging (`cartpole-swingup`), with
# no protection either. Will it forget how to balance?

# %%
from nbsp_lib.teaching import live

population = tuple(int(seed) for seed in seeds.split())
cart = live.train("cartpole", "fine-tuning", population, positions=2, steps=steps)
for task in cart.trainer.tasks:
    print(f"{task}:", *(f"seed {seed} {value:.2f}" for seed, value in live.end_of(cart, task).items()))

# %% [markdown]
# <details><summary>Answer</summary>
#
# It does not: an agent that swings a pole up must keep it up afterwards, so the second task goes on teaching the first. Forgetting is
# no law of networks. It needs new data that leaves the old states alone, or asks for something else there.
# </details>
#
# ## And plasticity?
#
# The other half of the dilemma: a network that has learned much may learn worse. *Dormant* units, which hardly fire, are one
# sign of it. Here is their share in the actor of the live agents, in the order of training.

# %%
signs = (
    cart.plasticity[cart.plasticity.network == "actor"]
    .groupby("total_step")[["dormant", "srank", "weight_norm"]]
    .mean()
)
signs.round(2)

# %% [markdown]
# ## The picture
#
# The live agents: each task in its colour, a thin line a seed. Compare it with the figure of the window above.

# %%
draw.show(
    draw.curves({"fine-tuning": cart.curves}, cart.trainer.tasks, "A cart with a pole learns two tasks, unprotected")
)

# %% [markdown]
# *Alt text: the mean reward on both tasks over two positions; balancing rises in the first and stays up in the second.*
#
# ## Exercises
#
# 1. Set `steps = 20000`. Does balancing suffer in the end?
# <details><summary>Answer</summary>Hardly. But the shipped runs, which go round twice, show that swinging up can be lost while only
# balancing is trained: there, the states of the hanging pole are never visited.</details>
#
# 2. Would a *larger* network forget less?
# <details><summary>Answer</summary>It might, since tasks would share fewer weights, but nothing in the loss asks it to keep them
# apart. Notebook 04 shows what does.</details>
#
# ## Conclusion
#
# An agent forgets because only the task at hand pulls at weights that both tasks share. Where the new task's data covers the old
# one, nothing is lost; where it does not, everything can be. Protecting what was learned, while leaving room to learn, is what the other notebooks are about.
