"""Strict reading of csv files that people write, also by a spreadsheet. Every refusal is a ConfigError with the line's number.

A byte order mark, Windows line ends, and empty cells or rows after the table are accepted.
"""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

from nbsp_lib.errors import ConfigError, nearest

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SAVE = 'save it as "CSV UTF-8"'


def text_of(path):
    """The text of a UTF-8 file without its byte order mark."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise ConfigError(f"{path}: line 1: not UTF-8 but UTF-16 or no text: {SAVE}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = len(data[: error.start].splitlines()) + data[: error.start].endswith(b"\n")
        raise ConfigError(f"{path}: line {max(number, 1)}: not UTF-8: {SAVE}") from None


def read_table(path, columns):
    """[(line, {column: text})] of a file whose header is exactly `columns`; lines count from 1, the header's included.

    ConfigError for another header, another number of fields, a cell with a line break or with blanks at its ends, and quotes that
    do not close.
    """
    reader, rows = csv.reader(io.StringIO(text_of(path), newline=""), strict=True), []
    expected, header = f"expected the header {','.join(columns)}", False
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ConfigError(
                f"{path}: line {line}: {error}: quotes that do not close, or that stand inside a cell"
            ) from None
        if cells is None:
            break
        while len(cells) > len(columns) and not cells[-1].strip():
            del cells[-1]  # empty cells that a spreadsheet adds
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path}: line {line}"
        if not header:
            check_header(cells, columns, where, expected)
            header = True
            continue
        if len(cells) != len(columns):
            raise ConfigError(
                f"{where}: {len(cells)} fields, expected {len(columns)}; decimals have a point, and a text with a "
                "comma stands in double quotes"
            )
        for column, cell in zip(columns, cells):
            if cell != cell.strip():
                raise ConfigError(f"{where}: {column}: {cell!r} has blanks at its ends")
            if not cell.isprintable():
                raise ConfigError(
                    f"{where}: {column}: {cell!r} holds a line break or another sign that cannot be printed"
                )
        rows.append((line, dict(zip(columns, cells))))
    if not header:
        raise ConfigError(f"{path}: line 1: the file is empty, {expected}")
    return rows


def check_header(cells, columns, where, expected):
    """Refuses a header that is not `columns`, and names the most likely reason."""
    if cells == list(columns):
        return
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if any(sign in cell for cell in cells):
            raise ConfigError(f"{where}: fields are separated by {name}, expected commas")
    unknown = [cell for cell in cells if cell not in columns]
    if unknown:
        raise ConfigError(f'{where}: unknown column "{unknown[0]}", {nearest(unknown[0], columns)}; {expected}')
    missing = [column for column in columns if column not in cells]
    raise ConfigError(f"{where}: " + (f"column {missing[0]} is missing; {expected}" if missing else expected))


def number(text, low, high, where):
    """A text as a number in [low, high]. ConfigError."""
    if not NUMBER.fullmatch(text) or math.isinf(float(text)):
        raise ConfigError(f"{where}: {text!r} is no number such as 0.85")
    if not low <= float(text) <= high:
        rate = ", a rate, not percent" if high == 1 and float(text) > 1 else ""
        raise ConfigError(f"{where}: {text} must lie in {low:g}..{high:g}{rate}")
    return float(text)


def unique(rows, keys, where):
    """Refuses a row whose `keys` equal those of an earlier row: rows [(line, {column: value})]."""
    seen = {}
    for line, row in rows:
        name = " ".join(row[key] for key in keys)
        before, other = seen.setdefault(name, (line, row))
        if before != line:
            said = "says again what" if other == row else "contradicts or repeats what"
            raise ConfigError(f"{where}: line {line}: {said} line {before} says of {name}")
