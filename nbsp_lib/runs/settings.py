"""params.yaml -> frozen dataclasses; what is misspelt, missing, of the wrong type or out of range never trains.

Every refusal is a ConfigError of one line: file: key path: what is wrong, nearest valid name.
"""

from __future__ import annotations

import hashlib
import json
import typing
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from nbsp_lib.core.budgets import longest, values_of
from nbsp_lib.envs.sequences import benchmark_of, tasks_of
from nbsp_lib.errors import ConfigError, one_of
from nbsp_lib.runs.arms import Arm, arm_of
from nbsp_lib.runs.profiles import OWN, check_places, read_profile, said_of
from nbsp_lib.runs.ranges import (
    NOT_NEGATIVE,
    PER_POSITION,
    Count,
    Goals,
    Mastery,
    Must,
    Name,
    Rate,
    Share,
    Text,
    per_position,
)
from nbsp_lib.runs.strict import check_seeds, convert, mapping


@dataclass(frozen=True)
class Grid:
    sequences: tuple[str, ...]  # names of SEQUENCES, or single tasks
    train: tuple[str, ...]  # arms that this profile trains
    arms: tuple[str, ...]  # arms that tables and figures show
    references: tuple[str, ...]  # single tasks trained alone: the gate, and forward transfer
    alone: tuple[str, ...]  # arms that this profile trains on the references
    neurons: tuple[str, ...]  # sequences whose single neurons are looked at
    causes: tuple[str, ...]  # pages made from data/retention too, the same in every profile
    learn: tuple[str, ...]  # notebooks of notebooks/learn that are executed


@dataclass(frozen=True)
class TrainSettings:
    steps: per_position(Count)  # environment steps per position and seed, at most; or a list of one for each position
    mastery: per_position(Mastery)  # success at which a position ends before; null: never
    random_steps: Count  # of these, uniform random actions without updates at the start of a position
    envs: Count  # environments per seed in lock-step; envs * episode steps are one round
    episode: Annotated[int, Must("in 1..500, Meta-World's limit", lambda x: 1 <= x <= 500)]  # steps per episode
    layers: Annotated[
        tuple[int, ...], Must("a list of widths > 0", lambda x: x and min(x) > 0)
    ]  # width of each hidden layer
    batch: Count
    actor_lr: Rate
    critic_lr: Rate
    alpha_lr: Rate  # of the temperature
    gamma: Share
    tau: Annotated[float, Must("in (0, 1]", lambda x: 0 < x <= 1)]
    # share of the critic that the target takes over at each update
    updates_per_step: Rate  # updates per environment step
    store: Share  # share of a position's rows that is kept for replay
    goal: Literal["success", "reward"]  # q(t), the goal metric of the neuron scores
    evaluations: Annotated[int, Must(">= 3: R is the mean of the last three", lambda x: x >= 3)]
    # per position that is trained to its end, equally spaced
    episodes: Annotated[
        int, Must("in 3..50, one per goal, so that each of three evaluations has one", lambda x: 3 <= x <= 50)
    ]
    # that three evaluations in a row play between them, see evaluate.episodes_of
    scoring_episodes: Goals  # of the rollout that neurons are scored on
    matmul_precision: Literal["highest", "medium"]  # of updates, as torch.set_float32_matmul_precision takes it


@dataclass(frozen=True)
class AtariTrain(TrainSettings):
    """Settings of Atari, see envs.console.Protocol. An episode is a game, whenever it ends; `episode`: steps of a round."""

    episode: Count
    goal: Literal["return"]
    observation: Literal["ram", "pixels"]
    sticky: Annotated[float, Must("in [0, 1)", lambda x: 0 <= x < 1)]
    noops: Annotated[int, NOT_NEGATIVE]
    frames: Count
    clip_reward: bool
    life_loss: bool
    target_entropy: Share  # as a multiple of log A, see categorical.Categorical
    temperature: Rate  # that a position begins with
    moments: Count  # of the scoring games, spread evenly over them, that neurons are scored on


@dataclass(frozen=True)
class Analysis:
    rollout_episodes: Goals  # per network that a notebook rolls out again
    repeats: Count  # of the bootstrap over seeds
    silence_draws: Count  # random sets of neurons to compare with the silenced ones


@dataclass(frozen=True)
class Profile:
    profile: Name
    root: Text  # from the folder of the file to the repository
    here: Text  # this file, seen from the repository
    out: Text  # folder of tables, figures and executed notebooks
    checkpoints: Text  # folder of training results
    shipped: Text  # folder that finished runs are promoted to
    size: Text  # of params.yaml's `sizes`: what differs from size laptop
    arms_in: Text  # the file whose `arms` are this profile's, seen from the repository
    grid: Grid
    seeds: tuple[int, ...]
    train: TrainSettings  # of Meta-World
    atari: AtariTrain  # in the file: what differs from `train`
    dmc: TrainSettings  # of the DeepMind Control Suite, likewise
    arms: dict[str, Arm]
    analysis: Analysis

    def training(self, sequence):
        """The TrainSettings of a sequence or task: that of its benchmark. ConfigError for an unknown name."""
        return {"metaworld": self.train, "atari": self.atari, "dmc": self.dmc}[benchmark_of(tasks_of(sequence)[0])]


def _section(cls, value, prefix):
    hints = typing.get_type_hints(cls, include_extras=True)
    mapping(value, hints, prefix)
    return cls(**{name: convert(value[name], hint, prefix + name) for name, hint in hints.items()})


def _check_train(train: TrainSettings, section="train"):
    """Ranges that need two settings."""
    rows, budgets = train.envs * train.episode, values_of(train.steps)
    for name, value in [*(("steps", steps) for steps in budgets), ("random_steps", train.random_steps)]:
        if value % rows:
            raise ConfigError(f"{section}.{name}: {value} is no multiple of envs * episode = {rows}")
    if train.random_steps >= min(budgets):
        raise ConfigError(
            f"{section}.random_steps: {train.random_steps} leaves none of {min(budgets)} steps to learn in"
        )
    updates = train.updates_per_step * train.envs
    if round(updates) < 1 or abs(updates - round(updates)) > 1e-9:
        raise ConfigError(f"{section}.updates_per_step: times envs is {updates:g}, must be a whole number >= 1")
    if train.evaluations > longest(train.steps) // rows or min(budgets) // rows < 3:
        raise ConfigError(
            f"{section}.evaluations: {train.evaluations} do not fit into {longest(train.steps) // rows} rounds"
        )


def _check_atari(train: AtariTrain):
    """What Atari needs besides: two games at a time, or the last bit of a product depends on the seeds beside."""
    for name, least in (("envs", 2), ("episodes", 6), ("scoring_episodes", 2)):
        if getattr(train, name) < least:
            raise ConfigError(
                f"atari.{name}: {getattr(train, name)} must be at least {least}: two games at a time, so that a "
                "seed is the same alone"
            )
    if any(rate is not None for rate in values_of(train.mastery)):
        raise ConfigError("atari.mastery: games have no success, expected null")
    if train.frames <= train.noops:
        raise ConfigError(f"atari.frames: {train.frames} leaves none after {train.noops} noops")


def _check_grid(grid: Grid, arms):
    for section, names in vars(grid).items():
        for i, name in enumerate(names):
            key = f"grid.{section}[{i}]"
            if section in ("train", "arms", "alone"):
                one_of(name, arms, "arm", key)
            elif section not in ("causes", "learn") and tasks_of(name, key) != (name,) and section == "references":
                raise ConfigError(f'{key}: "{name}" is a sequence, expected a single task')
            if name in names[:i]:
                raise ConfigError(f'{key}: "{name}" is named twice')


def load_profile(path) -> Profile:
    """The profile in a params.yaml, merged with what all share, see profiles.read_profile, and checked in full. ConfigError."""
    document, places = read_profile(path)
    hints = typing.get_type_hints(Profile, include_extras=True)
    with said_of(path):
        made = {name: convert(document[name], hints[name], name) for name in OWN if name not in ("grid", "seeds")}
        made |= {"grid": _section(Grid, document["grid"], "grid."), "seeds": check_seeds(document["seeds"])}
        check_places(path, made)
    with said_of(*places["train"]):
        for name, cls in (("train", TrainSettings), ("atari", AtariTrain), ("dmc", TrainSettings)):
            made[name] = _section(cls, document[name], f"{name}.")
            _check_train(made[name], name)
        _check_atari(made["atari"])
        one_of(
            made["dmc"].goal, ("reward",), "goal metric (the suite has no success; given here or by train)", "dmc.goal"
        )
    with said_of(*places["arms"]):
        arms = {name: arm_of(name, value, f"arms.{name}") for name, value in document["arms"].items()}
    with said_of(*places["analysis"]):
        made["analysis"] = _section(Analysis, document["analysis"], "analysis.")
    with said_of(path):
        _check_grid(made["grid"], arms)
    return Profile(**made, arms=arms)


def cell(profile: Profile, sequence: str, arm: str) -> dict:
    """What decides a run's training, as plain JSON: sequence, tasks, method, settings, train. No names, no seeds."""
    one_of(arm, profile.arms, "arm", "arm")
    chosen = profile.arms[arm]
    train, positions = profile.training(sequence), len(tasks_of(sequence))
    for name in PER_POSITION:
        value = getattr(train, name)
        if isinstance(value, tuple) and len(value) != positions:
            raise ConfigError(f"train.{name}: a list of {len(value)} for the {positions} positions of {sequence}")
    if getattr(train, "observation", None) == "pixels":
        from nbsp_lib.methods import find

        if not find(chosen.method).images:
            raise ConfigError(
                f"arm: {arm} has no form for images, see docs/methods.md; atari.observation: ram would do"
            )
    made = {
        "sequence": sequence,
        "tasks": tasks_of(sequence),
        "method": chosen.method,
        "settings": chosen.settings,
        "train": asdict(train),
    }
    if train.matmul_precision == "highest":  # younger than the first shipped runs: named where it differs
        del made["train"]["matmul_precision"]
    return json.loads(json.dumps(made))  # tuples become lists, so it equals what run.json gives back


def config_hash(cell: dict) -> str:
    """First 16 hex digits of the sha256 of the cell, keys sorted."""
    return hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:16]
