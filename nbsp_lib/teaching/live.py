"""Small agents trained while one looks on: the loop of the pipeline, with settings of seconds, from a shipped agent or none."""
from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace

import pandas as pd
from tqdm import tqdm

from nbsp_lib.envs.performance import performed
from nbsp_lib.methods import find
from nbsp_lib.runs.files import enter_repository
from nbsp_lib.runs.settings import load_profile
from nbsp_lib.runs.state import load_agent
from nbsp_lib.training.rollout import schedule
from nbsp_lib.training.switch import pass_on
from nbsp_lib.training.trainer import Cycle

SMALL = {"random_steps": 1000, "evaluations": 4, "episodes": 6, "scoring_episodes": 4}      # two episodes an evaluation


@dataclass(frozen=True)
class Trained:
    """cycle: the trainer where it stands; before: the actor's parameters after the last switch; curves, plasticity, scores: as
    in the result folders, seeds together."""
    cycle: Cycle
    before: dict | None
    curves: pd.DataFrame
    plasticity: pd.DataFrame
    scores: pd.DataFrame


def arm_settings(arm, sequence, profile="params.yaml", **settings):
    """(method, settings of the sequence's benchmark) of an arm of a profile, with other settings of config.Train."""
    enter_repository()
    profile = load_profile(profile)
    chosen = profile.arms[arm]
    return find(chosen.method)(**chosen.settings), replace(profile.training(sequence), **SMALL | settings)


def rounds(cycle, label):
    """Train the position that the cycle stands at, evaluating on the way; a bar on the terminal or in the notebook's log."""
    due, task = schedule(cycle.train, cycle.position), cycle.positions[cycle.position]
    env = cycle.make(task, cycle.seeds, cycle.train.envs, cycle.train.episode)
    cycle.method.before_task(cycle.agent, cycle.task, "train")
    cycle.evaluate(0)
    quiet = bool(os.environ.get("TQDM_DISABLE")) or None
    for _ in tqdm(range(cycle.rounds), desc=f"{label}: {task}", unit="round", disable=quiet):
        cycle.play_round(env)
        cycle.method.periodic(cycle.agent, cycle.world)
        if cycle.round in due:
            cycle.evaluate(due[cycle.round])


def switch(cycle):
    """The end of a position, as switch.finish, without anything written -> the actor's parameters after it."""
    cycle.note("scores", cycle.method.after_task(cycle.agent, cycle.task, cycle.world) or [])
    pass_on(cycle)
    return {k: p.clone() for k, p in cycle.agent.actor.params.items()}


def result(cycle, before=None):
    tables = {name: performed(pd.DataFrame([row for rows in cycle.tables[name] for row in rows]), cycle.train.episode)
              for name in ("curves", "plasticity", "scores")}
    return Trained(cycle, before, **tables)


def train(sequence, arm="fine-tuning", seeds=(0, 1), positions=1, **settings):
    """Train an arm from nothing on the first positions of a sequence -> Trained."""
    method, chosen = arm_settings(arm, sequence, **settings)
    cycle, before = Cycle(chosen, sequence, method, seeds), None
    for k in range(positions):
        before = switch(cycle) if k else None
        rounds(cycle, arm)
    return result(cycle, before)


def go_on(arm, sequence, position=1, seeds=(0, 1, 2), shipped="fine-tuning", **settings):
    """Train one more position under `arm`, from the networks that `shipped` had at the end of `position` -> Trained.

    What the networks alone do not hold is made anew: some experience of the task just learned, played by the agent, on which the
    arm scores its neurons and of which it keeps what it replays. Adam and the temperature begin afresh.
    """
    method, chosen = arm_settings(arm, sequence, **settings)
    cycle = Cycle(chosen, sequence, method, seeds)
    agent, _ = load_agent(f"data/checkpoints/{sequence}/{shipped}", position, list(seeds))
    for mine, theirs in ((cycle.agent.actor.params, agent.actor.params), (cycle.agent.critic.params, agent.critic.params),
                         (cycle.agent.target, agent.critic.params)):
        for k, t in mine.items():
            t.copy_(theirs[k])
    cycle.position = position - 1
    cycle.method.before_task(cycle.agent, cycle.task, "train")
    play_only(cycle)
    before = switch(cycle)
    rounds(cycle, arm)
    return result(cycle, before)


def play_only(cycle):
    """Fill the ring with experience of the agent as it is, without learning."""
    env = cycle.make(cycle.positions[cycle.position], cycle.seeds, cycle.train.envs, cycle.train.episode)
    learn, train = cycle.learn, cycle.train
    cycle.learn, cycle.train = lambda draws: None, replace(train, random_steps=0)
    while cycle.replay.filled < cycle.replay.capacity:
        cycle.play_round(env)
    cycle.learn, cycle.train = learn, train


def end_of(trained, task):
    """Performance of each seed on a task at the last evaluation, a Series."""
    rows = trained.curves[trained.curves.task == task]
    return rows[rows.total_step == rows.total_step.max()].set_index("seed").success


def digest(tensors):
    """Eight hex digits of the bytes of some tensors: equal digits, equal bits."""
    made = hashlib.sha256()
    for t in tensors:
        made.update(t.detach().cpu().contiguous().numpy().tobytes())
    return made.hexdigest()[:8]
