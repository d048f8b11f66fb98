"""params.yaml -> frozen dataclasses; what is misspelt, missing, of the wrong type or out of range never trains.

Every refusal is a ConfigError of one line: file: key path: what is wrong, nearest valid name.
"""
from __future__ import annotations

import hashlib
import inspect
import json
import typing
from dataclasses import asdict, dataclass
from typing import Literal

from nbsp_lib.core.budgets import longest, values_of
from nbsp_lib.envs.sequences import benchmark_of, tasks_of
from nbsp_lib.errors import ConfigError, one_of
from nbsp_lib.runs.profiles import read_profile, said_of
from nbsp_lib.runs.ranges import PER_POSITION, RULES
from nbsp_lib.runs.strict import check_seeds, convert, mapping


@dataclass(frozen=True)
class Grid:
    sequences: tuple[str, ...]     # names of SEQUENCES, or single tasks
    train: tuple[str, ...]         # arms that this profile trains
    arms: tuple[str, ...]          # arms that tables and figures show
    references: tuple[str, ...]    # single tasks trained alone: the gate, and forward transfer
    alone: tuple[str, ...]         # arms that this profile trains on the references
    neurons: tuple[str, ...]       # sequences whose single neurons are looked at
    learn: tuple[str, ...]         # notebooks of notebooks/learn that are executed


@dataclass(frozen=True)
class TrainSettings:
    steps: int | tuple[int, ...]   # environment steps per position and seed, at most; or a list of one for each position
    mastery: float | tuple[float | None, ...] | None   # success at which a position ends before; null: never
    random_steps: int              # of these, uniform random actions without updates at the start of a position
    envs: int                      # environments per seed in lock-step; envs * episode steps are one round
    episode: int                   # steps per episode
    layers: tuple[int, ...]        # width of each hidden layer
    batch: int
    actor_lr: float
    critic_lr: float
    alpha_lr: float                # of the temperature
    gamma: float
    tau: float                     # share of the critic that the target takes over at each update
    updates_per_step: float        # updates per environment step
    store: float                   # share of a position's rows that is kept for replay
    goal: Literal["success", "reward"]      # q(t), the goal metric of the neuron scores
    evaluations: int               # per position that is trained to its end, equally spaced
    episodes: int                  # that three evaluations in a row play between them, see evaluate.episodes_of
    scoring_episodes: int          # of the rollout that neurons are scored on
    matmul_precision: Literal["highest", "medium"]      # of updates, as torch.set_float32_matmul_precision takes it


@dataclass(frozen=True)
class AtariTrain(TrainSettings):
    """Settings of Atari, see envs.console.Protocol. An episode is a game, whenever it ends; `episode`: steps of a round."""
    goal: Literal["return"]
    observation: Literal["ram", "pixels"]
    sticky: float
    noops: int
    frames: int
    clip_reward: bool
    life_loss: bool
    target_entropy: float          # as a multiple of log A, see categorical.Categorical
    temperature: float             # that a position begins with
    moments: int                   # of the scoring games, spread evenly over them, that neurons are scored on


@dataclass(frozen=True)
class Analysis:
    rollout_episodes: int          # per network that a notebook rolls out again
    repeats: int                   # of the bootstrap over seeds
    silence_draws: int             # random sets of neurons to compare with the silenced ones


@dataclass(frozen=True)
class Arm:
    name: str
    method: str                    # name in nbsp_lib.methods.METHODS, or import path, see methods.find
    settings: dict                 # every keyword argument of the method's constructor, defaults filled in


@dataclass(frozen=True)
class Profile:
    profile: str
    root: str                      # from the folder of the file to the repository
    here: str                      # this file, seen from the repository
    out: str                       # folder of tables, figures and executed notebooks
    checkpoints: str               # folder of training results
    size: str                      # of params.yaml's `sizes`: what differs from size laptop
    arms_in: str                   # the file whose `arms` are this profile's, seen from the repository
    grid: Grid
    seeds: tuple[int, ...]
    train: TrainSettings                   # of Meta-World
    atari: AtariTrain                      # in the file: what differs from `train`
    dmc: TrainSettings                     # of the DeepMind Control Suite, likewise
    arms: dict[str, Arm]
    analysis: Analysis

    def training(self, sequence):
        """The TrainSettings of a sequence or task: that of its benchmark. ConfigError for an unknown name."""
        return {"metaworld": self.train, "atari": self.atari, "dmc": self.dmc}[benchmark_of(tasks_of(sequence)[0])]


def _setting(value, hint, name, key):
    value = convert(value, hint, key)
    text, holds = RULES.get(name, ("", lambda x: True))
    every = values_of(value) if name in PER_POSITION else (value,)
    if not every:
        raise ConfigError(f"{key}: an empty list, expected a value for each position")
    for one in every:
        if one is not None and not holds(one):
            raise ConfigError(f"{key}: {one!r} must be {text}")
    return value


def _section(cls, value, prefix):
    hints = typing.get_type_hints(cls)
    mapping(value, hints, prefix)
    return cls(**{name: _setting(value[name], hint, name, prefix + name) for name, hint in hints.items()})


def _check_train(train: TrainSettings, section="train"):
    """Ranges that need two settings."""
    rows, budgets = train.envs * train.episode, values_of(train.steps)
    for name, value in [*(("steps", steps) for steps in budgets), ("random_steps", train.random_steps)]:
        if value % rows:
            raise ConfigError(f"{section}.{name}: {value} is no multiple of envs * episode = {rows}")
    if train.random_steps >= min(budgets):
        raise ConfigError(f"{section}.random_steps: {train.random_steps} leaves none of {min(budgets)} steps to learn in")
    updates = train.updates_per_step * train.envs
    if round(updates) < 1 or abs(updates - round(updates)) > 1e-9:
        raise ConfigError(f"{section}.updates_per_step: times envs is {updates:g}, must be a whole number >= 1")
    if train.evaluations > longest(train.steps) // rows or min(budgets) // rows < 3:
        raise ConfigError(f"{section}.evaluations: {train.evaluations} do not fit into {longest(train.steps) // rows} rounds")


def _check_atari(train: AtariTrain):
    """What Atari needs besides: two games at a time, or the last bit of a product depends on the seeds beside."""
    for name, least in (("envs", 2), ("episodes", 6), ("scoring_episodes", 2)):
        if getattr(train, name) < least:
            raise ConfigError(f"atari.{name}: {getattr(train, name)} must be at least {least}: two games at a time, so that a "
                              "seed is the same alone")
    if any(rate is not None for rate in values_of(train.mastery)):
        raise ConfigError("atari.mastery: games have no success, expected null")
    if train.frames <= train.noops:
        raise ConfigError(f"atari.frames: {train.frames} leaves none after {train.noops} noops")


def arm_of(name, value, key) -> Arm:
    """The arm of a mapping {method, settings…}, checked against the annotations of the method's constructor and by the
    constructor. ConfigError, which begins with `key`."""
    from nbsp_lib.methods import METHODS, find  # here, because reading a file otherwise needs no torch
    _setting(name, str, "arm", key)                       # paths are made of it
    if not isinstance(value, dict) or "method" not in value:
        raise ConfigError(f"{key}.method: missing")
    if ":" not in convert(value["method"], str, f"{key}.method"):              # not an import path
        one_of(value["method"], METHODS, "method", f"{key}.method")
    try:
        method = find(value["method"])
    except ValueError as error:
        raise ConfigError(f"{key}.method: {' '.join(str(error).split())}") from None
    parameters = inspect.signature(method, eval_str=True).parameters.values()
    if bare := [p.name for p in parameters if p.default is p.empty]:
        raise ConfigError(f"{key}.method: {value['method']}: settings without a default: {', '.join(bare)}; give each one")
    known = {p.name: p for p in parameters}
    mapping(value, ["method", *known], f"{key}.", needed=())
    settings = {}
    for setting, parameter in known.items():
        hint = type(parameter.default) if parameter.annotation is parameter.empty else parameter.annotation
        settings[setting] = _setting(value.get(setting, parameter.default), hint, setting, f"{key}.{setting}")
    try:
        method(**settings)
    except ValueError as error:
        raise ConfigError(f"{key}: {' '.join(str(error).split())}") from None
    return Arm(name, value["method"], settings)


def _check_grid(grid: Grid, arms):
    for section, names in vars(grid).items():
        for i, name in enumerate(names):
            key = f"grid.{section}[{i}]"
            if section in ("train", "arms", "alone"):
                one_of(name, arms, "arm", key)
            elif section != "learn" and tasks_of(name, key) != (name,) and section == "references":
                raise ConfigError(f'{key}: "{name}" is a sequence, expected a single task')
            if name in names[:i]:
                raise ConfigError(f'{key}: "{name}" is named twice')


def load_profile(path) -> Profile:
    """The profile in a params.yaml, merged with what all share, see profiles.read_profile, and checked in full. ConfigError."""
    document, places = read_profile(path)
    hints = typing.get_type_hints(Profile)
    with said_of(path):
        made = {name: _setting(document[name], str, name, name) for name, hint in hints.items() if hint is str}
        made |= {"grid": _section(Grid, document["grid"], "grid."), "seeds": check_seeds(document["seeds"])}
    with said_of(*places["train"]):
        for name, cls in (("train", TrainSettings), ("atari", AtariTrain), ("dmc", TrainSettings)):
            made[name] = _section(cls, document[name], f"{name}.")
            _check_train(made[name], name)
        _check_atari(made["atari"])
        one_of(made["dmc"].goal, ("reward",), "goal metric (the suite has no success; given here or by train)", "dmc.goal")
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
            raise ConfigError(f"arm: {arm} has no form for images, see docs/methods.md; atari.observation: ram would do")
    made = {"sequence": sequence, "tasks": tasks_of(sequence), "method": chosen.method,
            "settings": chosen.settings, "train": asdict(train)}
    if train.matmul_precision == "highest":       # younger than the first shipped runs: named where it differs
        del made["train"]["matmul_precision"]
    return json.loads(json.dumps(made))                   # tuples become lists, so it equals what run.json gives back


def config_hash(cell: dict) -> str:
    """First 16 hex digits of the sha256 of the cell, keys sorted."""
    return hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:16]
