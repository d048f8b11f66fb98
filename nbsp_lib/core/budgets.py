"""Settings that hold one value for all positions of a sequence, or a list with one value for each position."""

from __future__ import annotations


def at_position(setting, position):
    """Returns the value of a setting at a position (from 0): the setting itself, or an entry of its list."""
    return setting[position] if isinstance(setting, (list, tuple)) else setting


def values_of(setting):
    """Returns all values of such a setting as a tuple."""
    return tuple(setting) if isinstance(setting, (list, tuple)) else (setting,)


def longest(steps):
    """Returns the largest budget of a position, from the setting `steps`."""
    return max(values_of(steps))
