"""params.yaml -> frozen dataclasses; what is misspelt, missing, of the wrong type or out of range never trains.

Every refusal is a ConfigError of one line: file: key path: what is wrong, nearest valid name.
"""
from __future__ import annotations

import hashlib
import inspect
import json
import re
import typing
from dataclasses import asdict, dataclass
from typing import Literal

from nbsp_lib.strict import ConfigError, convert, mapping, one_of, read_yaml

# The cycling sequences. The pairs window and drawer are the paper's; button-window, four and the order are ours.
SEQUENCES = {
    "window": ("window-open", "window-close") * 2,
    "drawer": ("drawer-open", "drawer-close") * 2,
    "button-window": ("button-press-topdown", "window-open") * 2,
    "four": ("window-open", "window-close", "drawer-open", "drawer-close") * 2,
    "tuning": ("handle-press", "door-close"),          # ours: settings are chosen on it, no table reports it
}
_TASKS_USED = {task for tasks in SEQUENCES.values() for task in tasks}      # known without importing Meta-World


@dataclass(frozen=True)
class Grid:
    sequences: tuple[str, ...]     # names of SEQUENCES, or single tasks
    train: tuple[str, ...]         # arms that this profile trains
    arms: tuple[str, ...]          # arms that tables and figures show
    references: tuple[str, ...]    # single tasks trained alone: the gate, and forward transfer
    alone: tuple[str, ...]         # arms that this profile trains on the references


@dataclass(frozen=True)
class Train:
    steps: int                     # environment steps per position and seed
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
    evaluations: int               # per position, equally spaced
    episodes: int                  # per scheduled evaluation
    final_episodes: int            # for the last three evaluations of a position
    scoring_episodes: int          # of the rollout that neurons are scored on
    matmul_precision: Literal["highest", "medium"]      # of updates, as torch.set_float32_matmul_precision takes it
    reset_adam: bool               # zero Adam's moments and step count at each task switch


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
    grid: Grid
    seeds: tuple[int, ...]
    train: Train
    arms: dict[str, Arm]
    analysis: Analysis


_SHARE = ("in [0, 1]", lambda x: 0 <= x <= 1)
_POSITIVE = ("> 0", lambda x: x > 0)
_NOT_NEGATIVE = (">= 0", lambda x: x >= 0)
# One name means one thing everywhere, so one table serves all sections and the settings of methods.
_RULES = {
    **dict.fromkeys(("root", "here", "out", "checkpoints"), ("filled in", bool)),
    **dict.fromkeys(("steps", "random_steps", "envs", "batch", "repeats", "silence_draws"), _POSITIVE),
    **dict.fromkeys(("actor_lr", "critic_lr", "alpha_lr", "updates_per_step"), _POSITIVE),
    **dict.fromkeys(("episodes", "final_episodes", "scoring_episodes", "rollout_episodes"),
                    ("in 1..50, one per goal", lambda x: 1 <= x <= 50)),
    **dict.fromkeys(("gamma", "store", "share"), _SHARE), **dict.fromkeys(("alpha", "replay_every"), _NOT_NEGATIVE),
    "profile": ("made of a-z, 0-9 and -", lambda x: re.fullmatch("[a-z0-9-]+", x)),
    "arm": ("made of a-z, 0-9, - and .", lambda x: re.fullmatch("[a-z0-9][a-z0-9.-]*", x)),
    "layers": ("a list of widths > 0", lambda x: x and min(x) > 0),
    "tau": ("in (0, 1]", lambda x: 0 < x <= 1), "episode": ("in 1..500, Meta-World's limit", lambda x: 1 <= x <= 500),
    "evaluations": (">= 3: R is the mean of the last three", lambda x: x >= 3),
}


def _setting(value, hint, name, key):
    value = convert(value, hint, key)
    text, holds = _RULES.get(name, ("", lambda x: True))
    if value is not None and not holds(value):
        raise ConfigError(f"{key}: {value!r} must be {text}")
    return value


def _section(cls, value, prefix):
    hints = typing.get_type_hints(cls)
    mapping(value, hints, prefix)
    return cls(**{name: _setting(value[name], hint, name, prefix + name) for name, hint in hints.items()})


def _check_train(train: Train):
    """Ranges that need two settings."""
    rows = train.envs * train.episode
    for name in ("steps", "random_steps"):
        if getattr(train, name) % rows:
            raise ConfigError(f"train.{name}: {getattr(train, name)} is no multiple of envs * episode = {rows}")
    if train.random_steps >= train.steps:
        raise ConfigError(f"train.random_steps: {train.random_steps} leaves none of {train.steps} steps to learn in")
    updates = train.updates_per_step * train.envs
    if round(updates) < 1 or abs(updates - round(updates)) > 1e-9:
        raise ConfigError(f"train.updates_per_step: times envs is {updates:g}, must be a whole number >= 1")
    if train.evaluations > train.steps // rows:
        raise ConfigError(f"train.evaluations: {train.evaluations} do not fit into {train.steps // rows} rounds")


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
    mapping(value, ["method", *known], f"{key}.", required=False)
    settings = {}
    for setting, parameter in known.items():
        hint = type(parameter.default) if parameter.annotation is parameter.empty else parameter.annotation
        settings[setting] = _setting(value.get(setting, parameter.default), hint, setting, f"{key}.{setting}")
    try:
        method(**settings)
    except ValueError as error:
        raise ConfigError(f"{key}: {' '.join(str(error).split())}") from None
    return Arm(name, value["method"], settings)


def tasks_of(sequence, key="sequence") -> tuple[str, ...]:
    """Task at each position [K]; a single Meta-World v3 task (without its suffix) is a sequence of one. ConfigError."""
    if sequence in SEQUENCES:
        return SEQUENCES[sequence]
    if sequence not in _TASKS_USED:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS
        tasks = [name.removesuffix("-v3") for name in ALL_V3_ENVIRONMENTS]
        one_of(sequence, [*SEQUENCES, *tasks], "sequence or task", key)
    return (sequence,)


def distinct(tasks) -> tuple[str, ...]:
    """The distinct tasks [M], in order of first visit."""
    return tuple(dict.fromkeys(tasks))


def check_seeds(seeds, key="seeds") -> tuple[int, ...]:
    """The seeds [P]: at least one, distinct, non-negative integers. ConfigError."""
    seeds = convert(list(seeds) if isinstance(seeds, tuple) else seeds, tuple[int, ...], key)
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"{key}: {list(seeds)} must be distinct integers >= 0, at least one")
    return seeds


def _check_grid(grid: Grid, arms):
    for section, names in vars(grid).items():
        for i, name in enumerate(names):
            key = f"grid.{section}[{i}]"
            if section in ("train", "arms", "alone"):
                one_of(name, arms, "arm", key)
            elif tasks_of(name, key) != (name,) and section == "references":
                raise ConfigError(f'{key}: "{name}" is a sequence, expected a single task')
            if name in names[:i]:
                raise ConfigError(f'{key}: "{name}" is named twice')


def load_profile(path) -> Profile:
    """The profile in a params.yaml, checked in full. ConfigError."""
    document = read_yaml(path)
    try:
        hints = typing.get_type_hints(Profile)
        mapping(document, hints, "")
        made = {name: _setting(document[name], str, name, name) for name, hint in hints.items() if hint is str}
        made |= {name: _section(hints[name], document[name], f"{name}.") for name in ("grid", "train", "analysis")}
        _check_train(made["train"])
        mapping(document["arms"], document["arms"], "arms.")               # any name: each is checked in arm_of
        arms = {name: arm_of(name, value, f"arms.{name}") for name, value in document["arms"].items()}
        _check_grid(made["grid"], arms)
        return Profile(**made, seeds=check_seeds(document["seeds"]), arms=arms)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def cell(profile: Profile, sequence: str, arm: str) -> dict:
    """What decides a run's training, as plain JSON: sequence, tasks, method, settings, train. No names, no seeds."""
    one_of(arm, profile.arms, "arm", "arm")
    chosen = profile.arms[arm]
    made = {"sequence": sequence, "tasks": tasks_of(sequence), "method": chosen.method,
            "settings": chosen.settings, "train": asdict(profile.train)}
    if profile.train.matmul_precision == "highest":       # younger than the first shipped runs: named where it differs
        del made["train"]["matmul_precision"]
    return json.loads(json.dumps(made))                   # tuples become lists, so it equals what run.json gives back


def config_hash(cell: dict) -> str:
    """First 16 hex digits of the sha256 of the cell, written with sorted keys."""
    return hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:16]
