"""Strict reading: one YAML 1.2 loader, and values checked against type annotations by pydantic.

Every refusal is a ConfigError of one line: key path: what is wrong, nearest valid name.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

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
    except ValueError as error:  # of a number or a date that cannot be one
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
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


EXPECTED = {
    "int_type": "int",
    "float_type": "float",
    "bool_type": "bool",
    "string_type": "str",
    "tuple_type": "a list",
    "list_type": "list",
    "dict_type": "a mapping",
}  # pydantic's kinds of a wrong type


@cache
def _adapter(hint):
    from pydantic import ConfigDict, TypeAdapter  # here, because its import is slow

    return TypeAdapter(hint, config=ConfigDict(strict=True, allow_inf_nan=False))


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def convert(value, hint, key):
    """The value as the annotated type, checked by pydantic, or ConfigError.

    A list becomes a tuple, an int serves as float; nothing else is converted.
    """
    from pydantic import ValidationError

    if isinstance(value, list) and "[...]" in repr(value):
        raise ConfigError(f"{key}: the list holds itself, through an anchor of YAML")
    try:
        return _adapter(hint).validate_python(value if hint is list else _tuples(value))
    except ValidationError as error:
        found = error.errors(include_url=False)
    if len({problem["loc"][:1] for problem in found}) > 1 and isinstance(
        value, list
    ):  # T, or a list of T: what was given?
        found = [problem for problem in found if "tuple[" in str(problem["loc"][0])]
    raise ConfigError(_said(found[0], key))


def _said(problem, key):
    """A problem that pydantic found, in this library's words."""
    key += "".join(f"[{index}]" for index in problem["loc"] if isinstance(index, int))
    given, kind = problem["input"], problem["type"]
    given = list(given) if isinstance(given, tuple) else given
    if kind == "literal_error":
        names = re.findall("'([^']*)'", problem["ctx"]["expected"])
        return f'{key}: unknown value "{given}", {nearest(given, names)}'
    if kind == "finite_number":
        return f"{key}: {given!r} is not finite"
    if kind == "value_error":
        return f"{key}: {problem['ctx']['error']}"
    return f"{key}: {given!r} is a {type(given).__name__}, expected {EXPECTED.get(kind, problem['msg'])}"


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


LARGEST_SEED = 2**32 - 1  # that every benchmark takes: numpy's RandomState, which Meta-World seeds, takes no larger one


def check_seeds(seeds, key="seeds") -> tuple[int, ...]:
    """The seeds [P]: at least one, distinct integers in 0..LARGEST_SEED. ConfigError."""
    seeds = convert(list(seeds) if isinstance(seeds, tuple) else seeds, tuple[int, ...], key)
    if not seeds or min(seeds) < 0 or max(seeds) > LARGEST_SEED or len(set(seeds)) < len(seeds):
        raise ConfigError(f"{key}: {list(seeds)} must be distinct integers in 0..{LARGEST_SEED}, at least one")
    return seeds
