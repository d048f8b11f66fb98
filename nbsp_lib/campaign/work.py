"""Counts the work that training would take: positions, updates and steps, from settings and states on disk."""

from __future__ import annotations

from dataclasses import dataclass

from nbsp_lib.core.budgets import at_position
from nbsp_lib.core.frames import FRAME_SKIP
from nbsp_lib.envs.sequences import distinct
from nbsp_lib.runs.run import Run
from nbsp_lib.training.rollout import ROUND, episodes_of, schedule, waves


@dataclass(frozen=True)
class Work:
    """Of one seed: positions, updates, environment steps that are learned from, and those of evaluation and scoring."""

    positions: float = 0.0
    updates: int = 0
    played: int = 0
    measured: int = 0

    def __add__(self, other):
        return Work(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))


@dataclass(frozen=True, eq=False)
class Group:
    """Seeds of a run that are trained together, from the same place on, and the work of each of them: at most, if no task is
    mastered, and at least, if every task is mastered as early as can be."""

    run: Run
    seeds: tuple
    work: Work
    least: Work

    def total(self, name):
        """One field of Work, over all seeds."""
        return len(self.seeds) * getattr(self.work, name)

    def hours(self, rates, work=None):
        """CPU hours of all seeds at the speeds `rates` (speed.Rates), of `work` if it is given."""
        work, n = work or self.work, len(self.seeds)
        updating, playing, measuring = (
            work.updates * rates.update,
            work.played * rates.play,
            work.measured * rates.evaluate,
        )
        return (updating + n * playing + n * measuring) / 3600


def steps_of(train, episodes):
    """Steps of a seed in a rollout of so many episodes, of which waves are filled up; games at most: up to their limit."""
    if hasattr(train, "frames"):
        return episodes * (train.frames // FRAME_SKIP)
    count, size = waves(episodes)
    return count * size * train.episode


def work_from(run, start, over=False, mastered=False):
    """Work of one seed of a run from `start` = (position, round) to its end, by the rules of trainer.Trainer; round −1 is the
    time before its first save, and a shared position 1 stops before its switch.

    over: whether the position of `start` is trained. mastered: if every task is mastered as early as can be, at the third
    evaluation of its position, where there is such a rule; otherwise never.
    """
    train, tasks = run.training, len(distinct(run.tasks))
    rows = train.envs * train.episode  # steps of one round
    scoring = steps_of(train, train.scoring_episodes) if run.method().needs_rollout and not run.shared else 0

    def evaluation(number):
        return tasks * steps_of(train, len(episodes_of(train, number)))

    total = Work(measured=evaluation(0) if start[1] < 0 else 0)
    for position in range(start[0], run.last()):
        rounds, due = at_position(train.steps, position) // rows, schedule(train, position)
        done, end = 0, rounds
        if mastered and at_position(train.mastery, position) is not None:
            end = min(r for r, number in due.items() if number >= ROUND)
        if position == start[0]:
            done = max(start[1], 0)
            end = done if over else max(end, min(r for r in due if r > done))  # the position ends at a later evaluation
        learned = max(0, end * rows - max(train.random_steps, done * rows))
        updates = learned // train.envs * round(train.updates_per_step * train.envs)
        measured = scoring + sum(evaluation(number) for r, number in due.items() if done < r <= end)
        total += Work(1 - done / rounds, updates, (end - done) * rows, measured)
    return total


def planned(runs, seeds, population, keep=True):
    """Returns [Group] of what train_run.train_run would do, shared positions first. keep: leave out a seed whose whole run is
    in a result folder."""
    made, trunks = [], {}
    for run in runs:
        train, trunk, starts = run.training, run.trunk(), {}
        mine, shared = run.states(seeds), trunk.states(seeds)
        finished = run.finished() if keep else {}
        for seed in seeds:
            if finished.get(seed, 0) >= len(run.tasks):
                continue
            forks = not mine[seed].manifest and run.forkable
            state = shared[seed] if forks else mine[seed]
            if state.diverged:
                continue
            start = (state.place, state.over)
            if forks:
                if not state.over:
                    trunks.setdefault(trunk.fingerprint, (trunk, {}))[1][seed] = start
                start = ((0, at_position(train.steps, 0) // (train.envs * train.episode)), True)
            if start[0] < (len(run.tasks), 0):
                starts[seed] = start
        made += groups(run, starts, population)
    return [group for trunk, starts in trunks.values() for group in groups(trunk, starts, population)] + made


def groups(run, starts, population):
    """Returns [Group] of what train_run.advance trains together, from {seed: (place, whether its position is over)}."""
    made = []
    for start in sorted(set(starts.values())):
        same = tuple(sorted(seed for seed, where in starts.items() if where == start))
        work, least = work_from(run, *start), work_from(run, *start, mastered=True)
        made += [Group(run, same[i : i + population], work, least) for i in range(0, len(same), population)]
    return made
