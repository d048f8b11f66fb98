"""An arm of params.yaml: a method and the value of each of its settings, checked against the method's constructor."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Literal, get_args, get_origin

from nbsp_lib.errors import ConfigError, one_of
from nbsp_lib.runs.ranges import OF_METHODS, Name
from nbsp_lib.runs.strict import convert, mapping


@dataclass(frozen=True)
class Arm:
    name: str
    method: str  # name in nbsp_lib.methods.METHODS, or import path, see methods.find
    settings: dict  # every keyword argument of the method's constructor, defaults filled in


def arm_of(name, value, key) -> Arm:
    """The arm of a mapping {method, settings…}, checked against the annotations of the method's constructor and by the
    constructor. ConfigError, which begins with `key`."""
    from nbsp_lib.methods import METHODS, find  # here, because reading a file otherwise needs no torch

    convert(name, Name, key)  # paths are made of it
    if not isinstance(value, dict) or "method" not in value:
        raise ConfigError(f"{key}.method: missing")
    if ":" not in convert(value["method"], str, f"{key}.method"):  # not an import path
        if value["method"].endswith(".py"):
            raise ConfigError(f"{key}.method: {value['method']} is a file, expected {value['method']}:NameOfTheClass")
        one_of(value["method"], METHODS, "method", f"{key}.method")
    try:
        method = find(value["method"])
    except ValueError as error:
        raise ConfigError(f"{key}.method: {' '.join(str(error).split())}") from None
    parameters = inspect.signature(method, eval_str=True).parameters.values()
    if bare := [p.name for p in parameters if p.default is p.empty]:
        raise ConfigError(
            f"{key}.method: {value['method']}: settings without a default: {', '.join(bare)}; give each one"
        )
    known = {p.name: p for p in parameters}
    mapping(value, ["method", *known], f"{key}.", needed=())
    settings = {}
    for setting, parameter in known.items():
        hint = type(parameter.default) if parameter.annotation is parameter.empty else parameter.annotation
        hint = Annotated[hint, OF_METHODS[setting]] if setting in OF_METHODS else hint
        settings[setting] = convert(value.get(setting, parameter.default), hint, f"{key}.{setting}")
    try:
        method(**settings)
    except ValueError as error:
        raise ConfigError(f"{key}: {' '.join(str(error).split())}") from None
    return Arm(name, value["method"], settings)


def text_settings(path):
    """Names of the settings of a method that are text; none if it cannot be read, which arm_of says."""
    from nbsp_lib.methods import find

    try:
        parameters = inspect.signature(find(path), eval_str=True).parameters
    except ValueError:
        return ()
    words = lambda hint: get_origin(hint) is Literal and all(isinstance(word, str) for word in get_args(hint))
    return [
        name
        for name, given in parameters.items()
        if given.annotation is str or words(given.annotation) or isinstance(given.default, str)
    ]
