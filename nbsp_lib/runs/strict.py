"""Strict reading: one YAML 1.2 loader, and values checked against type annotations.

Every refusal is a ConfigError of one line: key path: what is wrong, nearest valid name.
"""
from __future__ import annotations

import math
import types
import typing
from pathlib import Path
from typing import Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nbsp_lib.errors import ConfigError, nearest, one_of


def read_yaml(path) -> dict:
    """The mapping in a YAML 1.2 file (`1e-3` is a float, `no` a string); duplicate keys are refused. ConfigError."""
    try:
        document = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{path}: {f'line {mark.line + 1}: ' if mark else ''}{' '.join(problem.split())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: the file holds no mapping")
    return document


def scalar(text):
    """What a YAML 1.2 file would hold with this text: a number, true, false, null, or the text itself."""
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return text
    return value if value is None or isinstance(value, (bool, int, float)) else text


def convert(value, hint, key):
    """The value as the annotated type, or ConfigError. An int serves as float; nothing else is converted."""
    options = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        if value not in options:
            raise ConfigError(f'{key}: unknown value "{value}", {nearest(value, options)}')
        return value
    if typing.get_origin(hint) in (typing.Union, types.UnionType):          # T, perhaps None, perhaps a list of T
        if value is None and type(None) in options:
            return None
        listed = [option for option in options if typing.get_origin(option) is tuple]
        return convert(value, listed[0] if listed and isinstance(value, list) else options[0], key)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{key}: {value!r} is a {type(value).__name__}, expected a list")
        return tuple(convert(item, options[0], f"{key}[{i}]") for i, item in enumerate(value))
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:                                             # so that bool is no int
        raise ConfigError(f"{key}: {value!r} is a {type(value).__name__}, expected {hint.__name__}")
    if hint is float and not math.isfinite(value):
        raise ConfigError(f"{key}: {value!r} is not finite")
    return value


def mapping(value, names, prefix, needed=None):
    """Refuses what is no mapping, then unknown keys (a misspelt key is both unknown and missing), then missing ones."""
    if not isinstance(value, dict):
        raise ConfigError(f"{prefix.rstrip('.')}: {value!r} is a {type(value).__name__}, expected a mapping")
    for name in value:
        one_of(name, names, "key", f"{prefix}{name}")
    required(value, names if needed is None else needed, prefix)


def required(value, names, prefix):
    """Refuses a mapping without one of the names."""
    for name in names:
        if name not in value:
            raise ConfigError(f"{prefix}{name}: missing")


LARGEST_SEED = 2 ** 32 - 1          # that every benchmark takes: numpy's RandomState, which Meta-World seeds, takes no larger one


def check_seeds(seeds, key="seeds") -> tuple[int, ...]:
    """The seeds [P]: at least one, distinct integers in 0..LARGEST_SEED. ConfigError."""
    seeds = convert(list(seeds) if isinstance(seeds, tuple) else seeds, tuple[int, ...], key)
    if not seeds or min(seeds) < 0 or max(seeds) > LARGEST_SEED or len(set(seeds)) < len(seeds):
        raise ConfigError(f"{key}: {list(seeds)} must be distinct integers in 0..{LARGEST_SEED}, at least one")
    return seeds
