"""Populations small enough to compute by hand or by an oracle: agents, filled replays, candidate rows and noise.

Axes as in the library: P population, C critics, B batch, A action dimensions, U updates. Every seed draws from its own
generators, so a seed is the same whatever stands beside it.
"""

from __future__ import annotations

import copy
from types import SimpleNamespace

import torch

from nbsp_lib.core import gaussian, sac
from nbsp_lib.core.context import Context
from nbsp_lib.core.replay import Replay

OBS, ACT, LAYERS, BATCH, ROWS, PART, TASKS = 5, 2, (8, 6), 16, 60, 10, ("a", "b")
SETTINGS = SimpleNamespace(layers=LAYERS, gamma=0.99, tau=0.005, actor_lr=1e-3, critic_lr=3e-3, alpha_lr=2e-3)


def generators(seeds, purpose):
    return [torch.Generator().manual_seed(1000 * purpose + seed) for seed in seeds]


def make(method, seeds=(0,), layers=LAYERS, tasks=TASKS, device="cpu"):
    """A fresh agent and a replay full of random rows: recent ones, and a stored part of every task; tasks: of the positions."""
    settings = SimpleNamespace(**vars(SETTINGS) | {"layers": layers})
    agent = sac.make_agent(method, generators(seeds, 1), OBS, gaussian.Gaussian(ACT), tasks, settings, device)
    tasks = agent.tasks
    replay = Replay(len(seeds), ROWS, len(tasks), PART, OBS, ACT, device, method.columns(agent))
    replay.data.copy_(torch.stack([torch.randn(replay.data.shape[1:], generator=g) for g in generators(seeds, 2)]))
    replay.data[..., replay.columns["action"]].tanh_()
    replay.data[..., replay.columns["done"]] = 0.0
    replay.seen, replay.tasks, replay.counts[:] = ROWS, list(range(len(tasks))), replay.part
    return agent, replay


def draws(replay, seeds, updates, batch=BATCH, purpose=3):
    """Candidate rows recent and stored [U, P, B], and normal noise [U, 2, P, B, A]."""
    gens = generators(seeds, purpose)
    recent = replay.recent(torch.stack([torch.rand(updates, batch, generator=g) for g in gens], 1))
    which, u = (torch.stack([torch.rand(updates, n, generator=g) for g in gens], 1) for n in (1, batch))
    stored = replay.stored(which, u)
    noise = torch.stack([torch.randn(updates, 2, batch, ACT, generator=g) for g in gens], 2)
    return recent, stored, noise


def learn(
    agent, replay, method, seeds, updates, batch=BATCH, purpose=3, settings=SETTINGS, update=sac.update_from_rows
):
    """`updates` updates in place, from draws that depend on the seeds and on `purpose` only."""
    own = generators(seeds, 100 + purpose)
    for recent, stored, sac_noise in zip(*draws(replay, seeds, updates, batch, purpose)):
        more = {
            k: torch.stack([torch.randn(shape, generator=g) for g in own]) for k, shape in method.noise(agent).items()
        }
        update(agent, replay, recent, stored, {"sac": sac_noise} | more, method, settings)


def everything(agent, method):
    """Copies of all tensors of an agent and its method, by name."""
    return {k: t.clone() for k, t in (agent.tensors() | method.state).items()}


def copied(agent, method):
    """Independent copies of both, with the method's state belonging to the copied agent's shapes."""
    return copy.deepcopy(agent), copy.deepcopy(method)


def differing(a, b):
    """Names of the tensors that are not bit for bit equal."""
    assert a.keys() == b.keys()
    return [k for k in a if not torch.equal(a[k], b[k])]


class StubContext:
    """World whose rollout plays back what it is given: hidden {network: [P, C, T, W] per layer}, goal [P, T].

    episode [P, T]: by default four episodes of equal length.
    """

    def __init__(self, seeds, hidden, goal, episode=None):
        self.seeds, self.hidden, self.goal = tuple(seeds), hidden, goal
        T = goal.shape[1]
        self.episode = (torch.arange(T, device=goal.device) * 4 // T).expand_as(goal) if episode is None else episode
        self.gens = generators(self.seeds, 13)

    def rollout(self, task):
        return self.hidden, self.goal, self.episode

    def draw(self, kind, *shape):
        return torch.stack([kind(shape, generator=g) for g in self.gens]).to(self.goal.device)

    def blame(self, n):
        """The same activations, however many are asked for, and derivatives by them that are chance."""
        return self.hidden, {
            name: [self.draw(torch.randn, *h.shape[1:]) for h in layers] for name, layers in self.hidden.items()
        }


def random_world(agent, seeds, T=40, purpose=7):
    """Random activations (a third of them silent) and a random goal metric, the same for a seed in any population."""
    hidden = {}
    for n, net in enumerate(agent.networks):
        shapes = [net.params[f"b{i}"].shape[1::2] for i in range(net.depth - 1)]  # (C, W)
        gens, device = generators(seeds, purpose + n), net.params["b0"].device
        hidden[net.name] = [
            (torch.stack([torch.randn(C, T, W, generator=g) for g in gens]).relu() * (torch.arange(W) % 3 > 0)).to(
                device
            )
            for C, W in shapes
        ]
    goal = torch.stack([(torch.rand(T, generator=g) > 0.7).float() for g in generators(seeds, purpose + 5)])
    return StubContext(seeds, hidden, goal.to(device))


class Life:
    """Positions of a method in miniature: a few updates, then its task end; `position` counts those that have ended."""

    def __init__(self, method, seeds, tasks=TASKS, settings=SETTINGS, learn=None):
        self.method, self.seeds, self.position = method, seeds, 0
        self.agent, self.replay = make(method, seeds, tasks=tasks)
        self.context = Context(self.agent, method, self.replay, generators(seeds, 9), seeds, settings, learn=learn)

    def train(self, task, updates=8):
        self.method.before_task(self.agent, task, "train")
        learn(self.agent, self.replay, self.method, self.seeds, updates, purpose=10 + self.position)

    def finish(self, task):
        self.method.after_task(self.agent, task, self.context)
        self.position += 1


def assert_one_full_graph(make, learn, updates, rtol, atol):
    """torch.compile traces the whole update unbroken, once, task ends included, and learns what eager code does.

    make(seeds) -> method, agent, replay; learn: as `learn` above, called with that many updates before the
    task end and after it. No tensor may move.
    """

    def trained(update):
        seeds = (0, 1)
        method, agent, replay = make(seeds)
        addresses = [t.data_ptr() for t in (agent.tensors() | method.state).values()]
        learn(agent, replay, method, seeds, updates, update=update)
        method.after_task(agent, 0, random_world(agent, seeds))
        learn(agent, replay, method, seeds, updates, purpose=4, update=update)
        assert addresses == [t.data_ptr() for t in (agent.tensors() | method.state).values()]
        return everything(agent, method)

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    with torch._dynamo.config.patch(error_on_recompile=True):
        compiled = trained(torch.compile(sac.update_from_rows, backend="aot_eager", fullgraph=True))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    torch.testing.assert_close(compiled, trained(sac.update_from_rows), rtol=rtol, atol=atol)
    torch._dynamo.reset()


def gradients_beside_cubes(net, method):
    """Gradients by name of Σ θ³ and the method's penalty: 3 θ² and whatever the penalty adds."""
    loss = lambda params, probe: (sum((p**3).flatten(1).sum(1) for p in params.values()), None)
    return sac.gradients(net, loss, (), lambda params: method.penalty(net, params, None))[0]
