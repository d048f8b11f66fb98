"""What training would take: counted from the settings and the states on disk, timed for a few seconds on this machine."""
from __future__ import annotations

import functools
import shutil
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import psutil
import torch

from nbsp_lib.core.budgets import at_position
from nbsp_lib.core.frames import FRAME_SKIP
from nbsp_lib.core.sac import make_agent
from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.envs.sequences import benchmark_of, distinct, tasks_of
from nbsp_lib.methods import find
from nbsp_lib.runs.export import json_in, unlike
from nbsp_lib.runs.settings import cell
from nbsp_lib.runs.train_run import STATE, over, place, states_of, trunk_of

SHARED = "(position 1)"       # trained once for all arms that start neutral
SECONDS = 2.5                 # of measuring, over all methods and group sizes
# Bytes that do not depend on the settings, seen with the pinned versions: torch's own working space, MuJoCo with the first
# task, every further task, and what a notebook around the training adds (its kernel, and the runner beside it).
WORKSPACE, FIRST_TASK, FURTHER_TASK, NOTEBOOK = 15e6, 115e6, 55e6, 130e6
# Bytes per neuron of a network and step of the scoring rollout: 12 of the activations of three networks, the rest while one
# of them is scored.
SCORING = {"balanced": 41}    # 29 for every other score


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
    """Seeds that are trained together, from the same place on, and the work of each of them: at most, if no task is mastered,
    and at least, if every task is mastered as early as can be."""
    sequence: str
    arm: str
    method: str
    seeds: tuple
    work: Work
    least: Work

    def hours(self, rates, work=None):
        n, work = len(self.seeds), work or self.work
        return (work.updates * rates.update + n * work.played * rates.play + n * work.measured * rates.evaluate) / 3600


def steps_of(train, episodes):
    """Steps of a seed in a rollout of so many episodes, of which waves are filled up; games at most: up to their limit."""
    if hasattr(train, "frames"):
        return episodes * (train.frames // FRAME_SKIP)
    from nbsp_lib.training.rollout import waves  # here as below, because who asks what is finished needs no simulator
    count, size = waves(episodes)
    return count * size * train.episode


def work_from(train, tasks, scores, start, positions, switch=True, over=False, mastered=False):
    """Work of one seed from `start` = (position, round), round −1 before its first save, to the end of `positions`, by the
    rules of trainer.Trainer. tasks: number of distinct ones. scores: whether the method plays a scoring rollout. switch False:
    a shared position 1, which stops before its switch. over: whether the position of `start` is trained. mastered: if every
    task is mastered as early as can be, at the third evaluation of its position, where there is such a rule; else never."""
    from nbsp_lib.training.rollout import ROUND, episodes_of, schedule
    rows = train.envs * train.episode
    evaluation = lambda j: tasks * steps_of(train, len(episodes_of(train, j)))
    scoring = steps_of(train, train.scoring_episodes) if scores and switch else 0
    total = Work(measured=evaluation(0) if start[1] < 0 else 0)
    for position in range(start[0], positions):
        rounds = at_position(train.steps, position) // rows
        due = schedule(train, position)
        early = mastered and at_position(train.mastery, position) is not None
        done, end = 0, min(r for r, j in due.items() if j >= ROUND) if early else rounds
        if position == start[0]:
            done = max(start[1], 0)
            end = done if over else max(end, min(r for r in due if r > done))      # it ends at an evaluation that is to come
        learned = max(0, end * rows - max(train.random_steps, done * rows))
        during = sum(evaluation(j) for r, j in due.items() if done < r <= end)
        total += Work(1 - done / rounds, learned // train.envs * round(train.updates_per_step * train.envs), (end - done) * rows,
                      during + scoring)
    return total


def shipped(profile, sequence, arm):
    """{seed: positions finished} in the profile's result folder or in data/checkpoints, under these very settings."""
    found = {}
    for root in (profile.checkpoints, "data/checkpoints"):
        run = json_in(Path(root) / sequence / arm / "run.json")
        if run and not unlike(cell(profile, sequence, arm), run):
            for seed, k in run["finished"].items():
                found[int(seed)] = max(k, found.get(int(seed), 0))
    return found


def jobs(profile, grid, seeds, population, keep=True, root=STATE):
    """[Job] of what train_run.train_run would do. keep: but not for a seed whose whole run is in a result folder."""
    made, trunks = [], {}
    for sequence, arm in dict.fromkeys(grid):
        train = profile.training(sequence)
        run, chosen, positions = cell(profile, sequence, arm), profile.arms[arm], tasks_of(sequence)
        method, K, M = find(chosen.method)(**chosen.settings), len(positions), len(distinct(positions))
        mine, trunk = states_of(run, seeds, root), states_of(trunk_of(run), seeds, root)
        whole, starts = shipped(profile, sequence, arm) if keep else {}, {}
        for seed in (s for s in seeds if whole.get(s, 0) < K):
            state = trunk[seed] if not mine[seed].manifest and method.forkable else mine[seed]
            if (state.manifest or {}).get("diverged"):
                continue
            at = (place(state), over(state))
            if state is trunk[seed]:
                if not over(state):
                    trunks.setdefault((sequence, M), {})[seed] = at
                    at = ((0, at_position(train.steps, 0) // (train.envs * train.episode)), True)
            if at[0] < (K, 0):
                starts[seed] = at
        made += [job(sequence, arm, chosen.method, group, train, M, method.needs_rollout, *at, K)
                 for at, group in groups(starts, population)]
    return [job(sequence, SHARED, "sac", group, profile.training(sequence), M, False, *at, 1, False)
            for (sequence, M), starts in trunks.items() for at, group in groups(starts, population)] + made


def job(sequence, arm, method, seeds, train, tasks, scores, start, ended, positions, switch=True):
    """The Job of seeds that stand at `start`, with its position `ended` or not; the rest: see work_from."""
    work = lambda mastered: work_from(train, tasks, scores, start, positions, switch, ended, mastered)
    return Job(sequence, arm, method, seeds, work(False), work(True))


def groups(starts, population):
    """(place, seeds) of what runs.advance trains together, from {seed: (place, whether its position is over)}."""
    for at, same in groupby(sorted(starts, key=lambda seed: (starts[seed], seed)), key=starts.get):
        same = tuple(same)
        yield from ((at, same[i:i + population]) for i in range(0, len(same), population))


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
        return (f"replay {self.replay / 1e6:,.0f} MB on the device, peak memory of a process about {self.peak / 1e6:,.0f} MB: "
                f"libraries and environments {self.base / 1e6:,.0f}, replay {self.replay / 1e6:,.0f}, networks and optimiser "
                f"{self.state / 1e6:,.0f}, scoring or saving {self.work / 1e6:,.0f}")


@functools.cache                 # as it was before this process trained or measured anything
def libraries():
    """Bytes of this process when this was asked first, with all that training imports."""
    import nbsp_lib.training.trainer  # noqa: F401
    return psutil.Process().memory_info().rss


def memory(train, tasks, method, size):
    """The Memory of `size` seeds of a method (a Method) on the distinct `tasks`, in a process that begins like this one."""
    from nbsp_lib.campaign.speed import replay_bytes
    kind = benchmark(tasks, train)
    base = libraries() + WORKSPACE + FIRST_TASK + (len(tasks) - 1) * FURTHER_TASK
    agent = make_agent(method, [torch.Generator()], kind.obs, kind.head, tasks, train)
    replay = replay_bytes(train, tasks, method, agent)
    state = sum(t.nbytes for t in (*agent.tensors().values(), *method.state.values()))
    each = SCORING.get(getattr(method, "score", None), 29) if method.needs_rollout else 0
    scored = each * sum(train.layers) * (train.moments if kind.whole_games else train.scoring_episodes * train.episode)
    return Memory(base, size * replay, 2 * size * state, max(size * scored, 2 * (replay + state)))    # a seed saves alone, twice


def footprint(profile, sequence, arm, population):
    """One line for who is about to train: how many seeds at once, and the memory that takes."""
    chosen = profile.arms[arm]
    needed = memory(profile.training(sequence), distinct(tasks_of(sequence)), find(chosen.method)(**chosen.settings), population)
    return f"{sequence} {arm}: seeds together {population}, {needed.text()}"


def estimate(profile, grid, seeds, population, processes=1):
    """The plan as text: a row per run, then what was measured, memory, disk, and what was left out. processes: how many are
    to train at the same time."""
    from nbsp_lib.campaign.speed import measure
    imported = time.process_time()                           # CPU seconds that this process took to get here
    todo, every = (jobs(profile, grid, seeds, population, keep) for keep in (True, False))
    settings = lambda job: profile.arms[job.arm].settings if job.arm != SHARED else {}
    size = lambda job: memory(profile.training(job.sequence), distinct(tasks_of(job.sequence)),
                              find(job.method)(**settings(job)), len(job.seeds))
    largest = max(map(size, every), key=lambda needed: needed.peak, default=None)         # before the measuring needs any
    most_tasks = sorted(every, key=lambda job: len(distinct(tasks_of(job.sequence))))        # is timed, being the last
    of = lambda job: (benchmark_of(tasks_of(job.sequence)[0]), job.method, len(job.seeds))
    needed = {of(job): job for job in most_tasks}
    rates = {key: measure(profile.training(job.sequence), job.sequence, find(key[1])(), key[2], SECONDS / len(needed))
             for key, job in needed.items()}
    hours = lambda job: job.hours(rates[of(job)])
    amount = lambda some, name: sum(len(job.seeds) * getattr(job.work, name) for job in some)
    lines = ["sequence        arm             seeds positions     updates   env steps groups h/group   hours"]

    def row(sequence, arm, some):
        steps, spent = amount(some, "played") + amount(some, "measured"), [hours(job) for job in some]
        lines.append(f"{sequence:15} {arm:15} {sum(len(job.seeds) for job in some):5} {amount(some, 'positions'):9.1f} "
                     f"{amount(some, 'updates'):11,} {steps:11,} {len(some):6} {max(spent, default=0):7.3f} {sum(spent):7.3f}")

    for name in dict.fromkeys((job.sequence, job.arm) for job in todo):
        row(*name, [job for job in todo if (job.sequence, job.arm) == name])
    row("total", "", todo)
    if rest := amount(every, "positions") - amount(todo, "positions"):
        lines.append(f"left out: {rest:.1f} positions of runs that are finished in {profile.checkpoints} or data/checkpoints")
    if (least := sum(job.hours(rates[of(job)], job.least) for job in todo)) < sum(map(hours, todo)):
        lines.append(f"at most; {least:.3f} hours if every task is mastered at its third evaluation")
    if todo:
        played = {(task, seed) for job in todo for task in tasks_of(job.sequence) for seed in job.seeds}
        start = imported + len(played) * max(rate.start for rate in rates.values())
        lines.append(f"in all {start + 3600 * sum(map(hours, todo)):,.0f} s of CPU time, {start:.0f} s of them to start: "
                     "libraries, simulators, goals")
    return "\n".join([*lines, *(needs(every, rates, largest, processes) if every else [])])


def needs(every, rates, largest, processes):
    """Lines on the measured speeds, on memory (`largest`: the Memory of the largest job) and on disk."""
    core = sum(rate.core for rate in rates.values()) / len(rates)
    yield ("hours are CPU time of one core; nbsp run trains one group after the other. While this was measured "
           f"{core:.0%} of a core was free; under such a load they take {1 / core:.1f} times as long")
    for (_, method, size), rate in rates.items():
        yield (f"measured, {method}, seeds together {size}: update {1e3 * rate.update:.1f} ms, environment step "
               f"{1e3 * rate.play:.2f} ms in training, {1e3 * rate.evaluate:.2f} ms in evaluation")
    replay, state, network = (max(getattr(r, name) for r in rates.values()) / 1e6 for name in ("replay", "state", "network"))
    yield f"memory: {largest.text()}; with --device cuda, replay and scoring are in the GPU's memory instead"
    yield (f"in notebooks, as the pipeline and --jobs run them, about {NOTEBOOK / 1e6:.0f} MB more each; {processes} at a time: "
           f"{processes * (largest.peak + NOTEBOOK) / 1e6:,.0f} MB of {psutil.virtual_memory().total / 1e6:,.0f} MB")
    kept = sum(len(job.seeds) for job in every) * (replay + state)
    nets = sum(len(job.seeds) * len(tasks_of(job.sequence)) for job in every if job.arm != SHARED) * network
    yield (f"disk: .state at most {kept:,.0f} MB, shipped networks {nets:.1f} MB and csv files; "
           f"free here {shutil.disk_usage('.').free / 1e6:,.0f} MB")
