"""The memory of a process that trains, counted from the tensors that it makes."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import psutil
import torch

from nbsp_lib.campaign.speed import replay_bytes
from nbsp_lib.core.sac import make_agent
from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.envs.sequences import distinct

# Bytes that do not depend on the settings, as measured with the pinned versions.
WORKSPACE = 15e6  # torch's own
FIRST_TASK = 115e6  # MuJoCo with the first task
FURTHER_TASK = 55e6
NOTEBOOK = 130e6  # a kernel, and the runner beside it
# Bytes per neuron of a network and step of the scoring rollout: 12 of the activations of three networks, the rest while one
# of them is scored.
SCORING, SCORING_BALANCED = 29, 41


@dataclass(frozen=True)
class Memory:
    """Bytes of a process that trains some seeds together: what it needs before any seed (libraries, environments), replay,
    the rest of the seeds' state, and what comes and goes: scoring, or saving and loading, one after the other."""

    base: float
    replay: float
    state: float
    work: float

    @property
    def peak(self):
        return self.base + self.replay + self.state + self.work

    def text(self):
        return (
            f"replay {self.replay / 1e6:,.0f} MB on the device, peak memory of a process about {self.peak / 1e6:,.0f} MB: "
            f"libraries and environments {self.base / 1e6:,.0f}, replay {self.replay / 1e6:,.0f}, networks and optimiser "
            f"{self.state / 1e6:,.0f}, scoring or saving {self.work / 1e6:,.0f}"
        )


@functools.cache  # the value before this process trained or measured anything
def libraries():
    """Returns the bytes of this process with everything that training imports, as at the first call."""
    import nbsp_lib.training.trainer  # noqa: F401

    return psutil.Process().memory_info().rss


def memory(run, size):
    """Returns the Memory of `size` seeds of a run, in a process that begins like this one."""
    train, tasks, method = run.training, distinct(run.tasks), run.method()
    kind = benchmark(tasks, train)
    base = libraries() + WORKSPACE + FIRST_TASK + (len(tasks) - 1) * FURTHER_TASK
    agent = make_agent(method, [torch.Generator()], kind.obs, kind.head, tasks, train)
    replay = replay_bytes(train, tasks, method, agent)
    state = sum(t.nbytes for t in (*agent.tensors().values(), *method.state.values()))
    saved = 2 * (replay + state)  # a seed saves alone, twice its bytes
    return Memory(base, size * replay, 2 * size * state, max(size * scoring_bytes(train, method, kind), saved))


def scoring_bytes(train, method, kind):
    """Bytes of one seed while its neurons are scored. kind: a Benchmark."""
    if not method.needs_rollout:
        return 0
    each = SCORING_BALANCED if getattr(method, "score", None) == "balanced" else SCORING
    steps = train.moments if kind.whole_games else train.scoring_episodes * train.episode
    return each * sum(train.layers) * steps


def footprint(run, population):
    """Returns one line to be said before training: how many seeds at once, and the memory that takes."""
    return f"{run.title}: seeds together {population}, {memory(run, population).text()}"
