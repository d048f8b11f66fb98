"""The errors of this library, and the nearest valid name that a refusal ends with."""

from __future__ import annotations

import difflib


class Corrupted(ValueError):
    """A file is not what its checksum says, named in the message."""


class Diverged(RuntimeError):
    """Parameters of some seeds are not finite any more; `seeds` says which."""

    def __init__(self, seeds):
        super().__init__(f"seeds {seeds} diverged")
        self.seeds = seeds


class ConfigError(ValueError):
    """A setting that is refused, said in one line."""


def nearest(name, valid) -> str:
    """The end of a refusal: which valid name comes closest, whether in capitals or with _ for -."""
    plain = lambda text: str(text).strip().casefold().replace("_", "-")
    spelt = {plain(each): each for each in reversed(list(valid))}
    found = difflib.get_close_matches(plain(name), spelt, n=1, cutoff=0.0)
    return f'nearest valid name: "{spelt[found[0]]}"' if found else "no name is valid here"


def one_of(name, valid, what, key):
    """Refuses a name that is not valid: key: unknown what "name", nearest valid name."""
    if name not in valid:
        raise ConfigError(f'{key}: unknown {what} "{name}", {nearest(name, valid)}')
