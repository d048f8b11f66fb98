"""Records what a seed is trained on: packages, card or processor. Numbers depend on it only in their last bits."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import platform
import re
from pathlib import Path

import torch

VERSIONS = ("torch", "numpy", "mujoco", "metaworld", "gymnasium", "ale-py", "dm-control")


def machine(cpuinfo="/proc/cpuinfo"):
    """Returns what bytes depend on besides this repository: processor, vector instructions, system with its C library, Python.

    Processors of one name differ in their instructions, and run.json holds the whole version of Python.
    """
    text = Path(cpuinfo).read_text() if Path(cpuinfo).exists() else ""
    known = dict(re.findall(r"^(.*?)\s*: (.*)", text, re.MULTILINE))
    name, family, model = (known.get(key, "") for key in ("model name", "cpu family", "model"))
    flags = known.get("flags", "").split()
    return {
        "cpu": f"{name}, family {family}, model {model}" if name else platform.processor(),
        "vectors": [flag for flag in ("avx2", "avx512f") if flag in flags],
        "system": " ".join((platform.system(), *platform.libc_ver())),
        "python": platform.python_version(),
    }


@functools.cache
def versions():
    """Returns {package: version} of the installed packages that training uses, and the version of Python."""
    found = {}
    for name in VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found | {"python": platform.python_version()}


@functools.cache
def hardware(device):
    """Returns the name of the card, or of the processor if there is none."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return machine()["cpu"]


def trained_here(device, population, before):
    """Returns entries of a state's manifest that say where a seed is trained: `hardware`, `population` (the number of seeds
    that share its seconds), `versions` (of the last save).

    before: manifest of its last save, or None. Hardware or population that changed on the way become None: the seconds are
    then of no one kind.
    """
    now = {"hardware": hardware(device), "population": population}
    return {k: value if (before or {}).get(k, value) == value else None for k, value in now.items()} | {
        "versions": versions()
    }
