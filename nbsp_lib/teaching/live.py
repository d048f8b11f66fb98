"""Small agents trained while the reader watches: the loop of the pipeline with settings of seconds, from a shipped agent or
none."""

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
from nbsp_lib.training.rollout import schedule
from nbsp_lib.training.switch import pass_on
from nbsp_lib.training.trainer import Trainer

SMALL = {"random_steps": 1000, "evaluations": 4, "episodes": 6, "scoring_episodes": 4}  # two episodes an evaluation


@dataclass(frozen=True)
class Trained:
    """Holds the trainer at its end, `before`: the actor's parameters after the last switch, and curves, plasticity, scores as
    in the result folders, seeds together."""

    trainer: Trainer
    before: dict | None
    curves: pd.DataFrame
    plasticity: pd.DataFrame
    scores: pd.DataFrame


def arm_settings(arm, sequence, profile="params.yaml", **settings):
    """Returns (method, settings of the sequence's benchmark) of an arm of a profile; settings: others of
    settings.TrainSettings."""
    enter_repository()
    profile = load_profile(profile)
    chosen = profile.arms[arm]
    return find(chosen.method)(**chosen.settings), replace(profile.training(sequence), **SMALL | settings)


def rounds(trainer, label):
    """Trains the trainer's position, evaluating on the way; a bar on the terminal or in the notebook's log."""
    due, task = schedule(trainer.train, trainer.position), trainer.positions[trainer.position]
    env = trainer.environments()
    trainer.method.before_task(trainer.agent, trainer.task, "train")
    trainer.evaluate(0)
    quiet = bool(os.environ.get("TQDM_DISABLE")) or None
    for _ in tqdm(range(trainer.rounds), desc=f"{label}: {task}", unit="round", disable=quiet):
        trainer.play_round(env)
        trainer.method.periodic(trainer.agent, trainer.context)
        if trainer.round in due:
            trainer.evaluate(due[trainer.round])


def switch(trainer):
    """Ends a position as switch.finish does, but writes nothing -> the actor's parameters after it."""
    trainer.note("scores", trainer.method.after_task(trainer.agent, trainer.task, trainer.context) or [])
    pass_on(trainer)
    return {k: p.clone() for k, p in trainer.agent.actor.params.items()}


def result(trainer, before=None):
    tables = {
        name: performed(pd.DataFrame([row for rows in trainer.tables[name] for row in rows]), trainer.train.episode)
        for name in ("curves", "plasticity", "scores")
    }
    return Trained(trainer, before, **tables)


def train(sequence, arm="fine-tuning", seeds=(0, 1), positions=1, **settings):
    """Trains an arm from nothing on the first positions of a sequence -> Trained."""
    method, chosen = arm_settings(arm, sequence, **settings)
    trainer, before = Trainer(chosen, sequence, method, seeds), None
    for k in range(positions):
        before = switch(trainer) if k else None
        rounds(trainer, arm)
    return result(trainer, before)


def end_of(trained, task):
    """Returns the performance of each seed on a task at the last evaluation, a Series."""
    rows = trained.curves[trained.curves.task == task]
    return rows[rows.total_step == rows.total_step.max()].set_index("seed").success


def digest(tensors):
    """Returns eight hex digits of the bytes of some tensors: equal digits, equal bits."""
    made = hashlib.sha256()
    for t in tensors:
        made.update(t.detach().cpu().contiguous().numpy().tobytes())
    return made.hexdigest()[:8]
