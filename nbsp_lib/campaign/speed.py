"""Measures how fast this machine trains: times the real update and the real environments for seconds on one thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch

from nbsp_lib.core.budgets import longest
from nbsp_lib.core.frames import FRAME_SKIP
from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.envs.metaworld import MetaWorld, goal_table, simulator, start
from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.runs.train_run import keep_memory
from nbsp_lib.training.collect import make_replay
from nbsp_lib.training.networks import network_bytes, snapshot
from nbsp_lib.training.rollout import WAVE, play, rollout
from nbsp_lib.training.saving import tensors
from nbsp_lib.training.trainer import Trainer

ROWS = 100_000  # of replay while measuring: more than the caches hold, as in training
PLAYED = 60  # steps of an episode while measuring, over the seeds


@dataclass(frozen=True)
class Rates:
    """Of a group of seeds trained together, in CPU seconds: one update of them all; one environment step of one seed, while
    learning (without the update) and in an evaluation. core: share of a core that the measuring got. Bytes of a seed:
    replay while it trains, other tensors that are saved, shipped networks of one position. start: CPU seconds until one
    seed can play a task, 0 if it was ready before."""

    update: float
    play: float
    evaluate: float
    core: float
    replay: int
    state: int
    network: int
    start: float = 0.0


def timed(action, seconds):
    """(CPU, wall) seconds of a call, the mean of as many as fit, at least one, after one that warms up."""
    action()
    calls, cpu, wall = 0, time.process_time(), time.perf_counter()
    while not calls or time.perf_counter() - wall < seconds:
        action()
        calls += 1
    return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls


def readiness(task, seed=0, tried=5):
    """CPU seconds for the simulator of a Meta-World task, the goals of a seed, and the starts of all of them."""
    before = time.process_time()
    simulator(task), goal_table(task, seed)
    built = time.process_time()
    for goal in range(tried):
        start(task, seed, goal)
    return built - before + (time.process_time() - built) * MetaWorld.goals / tried


def replay_bytes(train, tasks, method, agent):
    """Bytes of one seed's replay on a sequence of these tasks."""
    replay = make_replay(benchmark(tasks, train), train, len(set(tasks)), 1, method.columns(agent), "meta")
    return sum(t.nbytes for name, t in vars(replay).items() if name in ("data", "frames"))


def evaluation(train, trainer, task, agent, method):
    """A function that plays a short evaluation, and how many steps of a seed that takes, over all seeds."""
    if trainer.kind.whole_games:
        short, size = replace(train, frames=train.noops + FRAME_SKIP * PLAYED), len(trainer.seeds)
        return (
            lambda: play(agent, task, trainer.seeds, train.episodes, short, method=method)
        ), size * train.episodes * PLAYED
    episodes = min(WAVE, train.episodes)
    run = lambda: rollout(
        agent, task, trainer.seeds, episodes, train.episode, method=method, goals=[0], make=trainer.make
    )
    return run, len(trainer.seeds) * episodes * train.episode


def playing(short, trainer, task, agent, method):
    """The calls that play, {name: (action, the steps of a seed that it takes, its share of the time)}."""
    env = trainer.environments()

    def round_():
        for generator in trainer.streams["goals"]:
            generator.manual_seed(0)  # always the same goals, so that their starts are computed once
        trainer.play_round(env, updates=False)

    return {
        "play": (round_, len(trainer.seeds) * short.envs * short.episode, 0.25),
        "evaluate": (*evaluation(short, trainer, task, agent, method), 0.25),
    }


def measure(train, sequence, method, size, seconds, known=None):
    """Rates of `size` seeds under a method (a Method), in about `seconds`, on the CPU and the first task of the sequence.

    known: Rates of another method with as many seeds of the same benchmark. What playing takes is then copied from there,
    since it hardly depends on the method, and only the update is timed.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_memory()
    short = replace(
        train,
        steps=max(min(longest(train.steps), ROWS // size), train.batch),
        random_steps=0,
        episode=min(train.episode, max(PLAYED // size, 5)),
    )
    trainer, task = (
        Trainer(short, sequence, method, (0,) * size),
        tasks_of(sequence)[0],
    )  # one seed: its goals are shared
    ready = readiness(task) if trainer.make is MetaWorld and not known else 0.0  # before the first environment
    rows, agent = trainer.replay, snapshot(trainer.agent)
    rows.data.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    rows.seen, rows.tasks, rows.counts[:] = rows.capacity, [0] if rows.part else [], rows.part
    calls = {"update": (lambda: trainer.update(trainer.draws(1)), 1, 0.5)}  # action, what it counts, share
    if not known:
        calls |= playing(short, trainer, task, agent, method)
    spent = {name: (*timed(action, seconds * share), count) for name, (action, count, share) in calls.items()}
    cpu, wall, _ = (sum(column) for column in zip(*spent.values()))
    each = {name: cpu / count for name, (cpu, _, count) in spent.items()}
    if known:
        each |= {"play": known.play, "evaluate": known.evaluate}
    state = sum(t[0].nbytes for name, t in tensors(trainer).items() if name != "stored")
    network = len(network_bytes(agent, method, 0))
    return Rates(
        **each,
        core=min(1.0, cpu / wall),
        replay=replay_bytes(train, trainer.tasks, method, trainer.agent),
        state=state,
        network=network,
        start=known.start if known else ready,
    )
