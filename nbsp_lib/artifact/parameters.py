"""The parameters of a notebook: the constants of its cell tagged `parameters`, and their values on the command line."""

from __future__ import annotations

import ast
import json
import re

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nbsp_lib.errors import ConfigError, one_of
from nbsp_lib.runs.strict import convert

TYPES = {kind.__name__: kind for kind in (str, int, float, bool, list, dict)}


def declared(nb, source) -> dict:
    """name -> (default, type) of each parameter of a notebook: the constants assigned in its cell tagged `parameters`. The type
    is that of the annotation, without `| None`, or else of the default."""
    cells = [cell.source for cell in nb.cells if "parameters" in cell.metadata.get("tags", [])]
    found = {}
    for statement in ast.parse("\n".join(cells)).body:
        try:
            annotated = isinstance(statement, ast.AnnAssign)
            default, targets = ast.literal_eval(statement.value), [statement.target] if annotated else statement.targets
            name = re.match(r"\w+", ast.unparse(statement.annotation).strip("'\"")) if annotated else None
            found |= {target.id: (default, TYPES.get(name and name[0], type(default))) for target in targets}
        except (AttributeError, ValueError):
            line = ast.unparse(statement).splitlines()[0]
            raise ConfigError(f"{source}: the parameters cell holds more than constants: {line}") from None
    return found


def defaults(nb, source) -> dict:
    """name -> default of each parameter of a notebook."""
    return {name: default for name, (default, _) in declared(nb, source).items()}


def checked(pairs, valid, source) -> dict:
    """The parameters given as (name, text), by what is `declared`. A text is taken as it is; any other type is read as YAML 1.2,
    and so is what is declared by a default of None, which takes any type but keeps a text whole. ConfigError."""
    values = {}
    for name, text in pairs:
        one_of(name, valid, "parameter", source)
        if name in values:
            raise ConfigError(f"{source}: parameter {name} is given twice")
        default, kind = valid[name]
        if kind is str:
            values[name] = text
            continue
        try:
            value = YAML(typ="safe", pure=True).load(text)
            json.dumps(value)  # a notebook holds no dates and no sets
        except (YAMLError, TypeError, ValueError):
            raise ConfigError(
                f"{source}: {name}: {text!r} is not YAML, or holds a date: a text stands in quotes"
            ) from None
        if kind is type(None):
            whole = not isinstance(value, str) or text[:1] in ("'", '"')
            values[name] = value if whole else text  # YAML ends a text at " #"
        else:
            values[name] = None if value is None and default is None else convert(value, kind, f"{source}: {name}")
    return values
