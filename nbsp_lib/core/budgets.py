"""Settings that may hold one value for all positions of a sequence, or a list with one value for each position."""
from __future__ import annotations


def at_position(setting, position):
    """The value of a setting at a position (from 0): settings of a position are one value for all, or a list of one for each."""
    return setting[position] if isinstance(setting, (list, tuple)) else setting


def values_of(setting):
    """All values of such a setting: those of its list, or the one for all."""
    return tuple(setting) if isinstance(setting, (list, tuple)) else (setting,)


def longest(steps):
    """The largest budget of a position, from the setting `steps`."""
    return max(values_of(steps))
