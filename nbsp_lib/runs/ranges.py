"""What the value of a setting must be besides its type: annotations that stand beside the field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

PER_POSITION = ("steps", "mastery")  # settings that may be a list of one value for each position
_WORDS = ("null", "none", "nan", "na", "inf", "infinity", "true", "false", "yes", "no", "on", "off", "y", "n")
LONGEST = 60  # letters of a name: file names are made of a profile's, a sequence's and an arm's, and end at 255


def is_name(text):
    """Whether a text can name a profile, a sequence or an arm: on a command line, in YAML, in a csv file and in paths."""
    return len(text) <= LONGEST and bool(re.fullmatch("[a-z][a-z0-9-]*", text)) and text not in _WORDS


@dataclass(frozen=True)
class Must:
    """An annotation that refuses a value, already of its type, for which `holds` is false; pydantic calls it."""

    text: str
    holds: object
    begin: str = "{!r} must be "

    def __get_pydantic_core_schema__(self, source, handler):
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def check(self, value):
        """The value; ValueError if it is refused."""
        if not self.holds(value):
            raise ValueError(self.begin.format(value) + self.text)
        return value


def per_position(kind):
    """A value for all positions of a sequence, or a list of one for each."""
    each = Must("an empty list, expected a value for each position", bool, "")
    return kind | Annotated[tuple[kind, ...], each]


POSITIVE, NOT_NEGATIVE = Must("> 0", lambda x: x > 0), Must(">= 0", lambda x: x >= 0)
SHARE = Must("in [0, 1]", lambda x: 0 <= x <= 1)
Count, Rate = Annotated[int, POSITIVE], Annotated[float, POSITIVE]
Share = Annotated[float, SHARE]
Goals = Annotated[int, Must("in 1..50, one per goal", lambda x: 1 <= x <= 50)]
Text = Annotated[str, Must("filled in", bool)]
Name = Annotated[
    str,
    Must(
        f"made of at most {LONGEST} of a-z, 0-9 and -, begin with a letter and be no word that YAML or a csv "
        "file reads as a value",
        is_name,
    ),
]
Mastery = Annotated[float, Must("in (0, 1], or null", lambda x: 0 < x <= 1)] | None
OF_METHODS = {"share": SHARE, "alpha": NOT_NEGATIVE, "replay_every": NOT_NEGATIVE}  # by name: no method needs pydantic
