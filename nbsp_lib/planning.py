"""What training would take: counted from the settings and the states on disk, timed for a few seconds on this machine."""
from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import psutil
import torch

from nbsp_lib.checkpoint import network_bytes
from nbsp_lib.config import cell, config_hash, distinct, tasks_of
from nbsp_lib.envs.metaworld import MetaWorld
from nbsp_lib.evaluate import WAVE, rollout, snapshot
from nbsp_lib.method import overrides
from nbsp_lib.methods import METHODS
from nbsp_lib.replay import Replay
from nbsp_lib.runs import STATE, keep_memory, place, states_of, trunk_of
from nbsp_lib.train import Cycle, milestones

SHARED = "(position 1)"       # trained once for every arm that starts neutral
SECONDS = 4.0                 # of measuring, over all methods and group sizes
ROWS = 100_000                # of replay while measuring: beyond the caches, as in training
PLAYED = 50                   # steps of an episode while measuring


@dataclass(frozen=True)
class Work:
    """Of one seed: positions, updates, environment steps that are learned from, and those of evaluation and scoring."""
    positions: float = 0.0
    updates: int = 0
    played: int = 0
    measured: int = 0

    def __add__(self, other):
        return Work(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))


@dataclass(frozen=True)
class Job:
    """Seeds that one process trains together from the same place on, and the work of each of them."""
    sequence: str
    arm: str
    method: str
    seeds: tuple
    work: Work


@dataclass(frozen=True)
class Rates:
    """Of a group of seeds: CPU seconds of one update of all of them, of one environment step while learning, and of one
    while measuring; share of a core that the measuring got; bytes of a seed's saved tensors (replay apart) and network."""
    update: float
    play: float
    measure: float
    core: float
    state: int
    network: int

    def hours(self, job):
        n, work = len(job.seeds), job.work
        return (work.updates * self.update + n * work.played * self.play + n * work.measured * self.measure) / 3600


def work_from(train, tasks, scores, start, positions, switch=True):
    """Work of one seed from `start` = (position, round), round −1 before the first save, to the end of `positions`.

    tasks: number of distinct tasks. scores: whether the method plays a scoring rollout. switch False: as a shared position
    1, which stops before the measuring at its end. The same rules as train.Cycle; a test compares the two.
    """
    rounds, played = train.steps // (train.envs * train.episode), train.envs * train.episode
    position, done = start
    full = lambda episodes: -(-episodes // min(WAVE, episodes)) * min(WAVE, episodes)       # an incomplete wave is filled up
    evaluation = lambda j: tasks * full(train.final_episodes if j > train.evaluations - 3 else train.episodes) * train.episode
    total = Work(measured=evaluation(0)) if done < 0 else Work()
    for k in range(position, positions):
        first = max(done, 0) if k == position else 0
        learned = train.steps - max(train.random_steps, first * played)
        evaluated = sum(evaluation(j) for r, j in milestones(rounds, train.evaluations).items() if first < r < rounds)
        total += Work((rounds - first) / rounds, learned // train.envs * round(train.updates_per_step * train.envs),
                      (rounds - first) * played, evaluated)
        if switch:
            total += Work(measured=evaluation(train.evaluations) + scores * full(train.scoring_episodes) * train.episode)
    return total


def shipped(profile, sequence, arm):
    """{seed: positions finished} in the profile's result folder or in data/checkpoints, of runs with these very settings."""
    found = {}
    for root in (profile.checkpoints, "data/checkpoints"):
        path = Path(root) / sequence / arm / "run.json"
        run = json.loads(path.read_text()) if path.exists() else {}
        if run.get("config_hash") == config_hash(cell(profile, sequence, arm)):
            found = {int(s): max(k, found.get(int(s), 0)) for s, k in run["finished"].items()} | \
                    {s: k for s, k in found.items() if str(s) not in run["finished"]}
    return found


def jobs(profile, grid, seeds, population, keep_shipped=True, root=STATE):
    """[Job] that train_run would do. keep_shipped: a seed whose whole run is in a result folder is not trained again."""
    train, end = profile.train, profile.train.steps // (profile.train.envs * profile.train.episode)
    made, trunks = [], {}
    for sequence, arm in dict.fromkeys(grid):
        run, chosen = cell(profile, sequence, arm), profile.arms[arm]
        method, K, tasks = METHODS[chosen.method](**chosen.settings), len(tasks_of(sequence)), len(distinct(tasks_of(sequence)))
        whole = shipped(profile, sequence, arm) if keep_shipped else {}
        mine, trunk = states_of(run, seeds, root), states_of(trunk_of(run), seeds, root)
        starts = {}
        for seed in (s for s in seeds if whole.get(s, 0) < K):
            at = place(mine[seed])
            failed = (mine[seed].manifest or {}).get("diverged")
            if at[1] < 0 and method.forkable:
                before, at = place(trunk[seed]), (0, end)
                failed = (trunk[seed].manifest or {}).get("diverged")
                if before < at and not failed:
                    trunks.setdefault((sequence, tasks), {})[seed] = before
            if at < (K, 0) and not failed:
                starts[seed] = at
        work = lambda at: work_from(train, tasks, overrides(method, "after_task"), at, K)
        made += [Job(sequence, arm, chosen.method, group, work(at)) for at, group in groups(starts, population)]
    first = [Job(sequence, SHARED, "sac", group, work_from(train, tasks, False, at, 1, switch=False))
             for (sequence, tasks), starts in trunks.items() for at, group in groups(starts, population)]
    return first + made


def groups(starts, population):
    """(place, seeds) of what runs.advance trains together, from {seed: place}."""
    for at, same in groupby(sorted(starts, key=lambda seed: (starts[seed], seed)), key=starts.get):
        same = tuple(same)
        yield from ((at, same[i:i + population]) for i in range(0, len(same), population))


def timed(action, seconds):
    """(CPU, wall) seconds of a call, over as many calls as fit; a first one that takes longer is the measurement itself."""
    calls, first = 0, True
    while True:
        if not calls:
            cpu, wall = time.process_time(), time.perf_counter()
        action()
        calls += 1
        spent = time.perf_counter() - wall
        if first and spent < seconds:                       # what was only warming up
            calls, first = 0, False
        elif spent >= seconds:
            return (time.process_time() - cpu) / calls, spent / calls


class Player(Cycle):
    """A Cycle that plays without learning, to time the two apart."""

    def learn(self, updates):
        pass


def measure(profile, sequence, method, size, seconds):
    """Rates of `size` seeds of a sequence under a method (a Method), on the CPU, one thread, in about `seconds`."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_memory()
    train = profile.train
    short = replace(train, steps=min(train.steps, max(ROWS // size, train.batch)), random_steps=0, episode=min(train.episode, PLAYED))
    cycle, task = Player(short, sequence, method, (0,) * size), tasks_of(sequence)[0]       # one seed, so that goals are shared
    rows = cycle.replay
    rows.data.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    rows.seen, rows.tasks = rows.capacity, [0] if rows.part else []
    env, episodes, agent = MetaWorld(task, cycle.seeds, short.envs, short.episode), min(WAVE, train.final_episodes), snapshot(cycle.agent)

    def play():
        for g in cycle.streams["goals"]:
            g.manual_seed(0)                                 # always the same goals: their starts are computed once
        cycle.play_round(env)

    update, updating = timed(lambda: Cycle.learn(cycle, 1), seconds / 2)
    played, playing = timed(play, seconds / 4)
    measured, measuring = timed(lambda: rollout(agent, task, cycle.seeds, episodes, short.episode, method=method, goals=[0]), seconds / 4)
    saved = sum(t[0].nbytes for name, t in cycle.tensors().items() if name != "stored")
    return Rates(update, played / (size * short.envs * short.episode), measured / (size * episodes * short.episode),
                 min(1.0, (update + played + measured) / (updating + playing + measuring)), saved, len(network_bytes(agent, 0)))
