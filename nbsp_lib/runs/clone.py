"""The clone of this repository that one stands in, and whether the running library is its own."""

from __future__ import annotations

from pathlib import Path

import nbsp_lib
from nbsp_lib.errors import ConfigError


def root_of(folder="."):
    """The root of the clone that `folder` lies in, or None. A folder of profiles/ has a params.yaml too, but no profiles/."""
    folder = Path(folder).resolve()
    for place in (folder, *folder.parents):
        if (place / "params.yaml").is_file() and (place / "profiles").is_dir():
            return place
    return None


def foreign(folder="."):
    """One line if `folder` lies in a clone with a library of its own that is not the running one, otherwise None.

    The processes of a run import the library of the folder they run in, so two codes would train one campaign.
    """
    root, running = root_of(folder), Path(nbsp_lib.__file__).resolve().parent
    if root is None or not (root / "nbsp_lib/__init__.py").is_file() or (root / "nbsp_lib").resolve() == running:
        return None
    return (
        f"another clone's library: it runs from {running.parent}, but this folder belongs to the clone {root}; there type "
        "make setup and source .venv/bin/activate, or go to the other folder"
    )


def refuse_foreign():
    """ConfigError if the running library is not that of the clone one stands in."""
    if line := foreign():
        raise ConfigError(line)
