"""Every method of the comparison by name; only this file turns a name into a method."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path

from nbsp_lib.core.method import Method
from nbsp_lib.methods.ancl import ANCL
from nbsp_lib.methods.cbp import CBP
from nbsp_lib.methods.clear import CLEAR
from nbsp_lib.methods.clonex import ClonEx
from nbsp_lib.methods.cotasp import CoTASP
from nbsp_lib.methods.crelu import CReLU
from nbsp_lib.methods.er import ER
from nbsp_lib.methods.ewc import EWC
from nbsp_lib.methods.nbsp import NBSP
from nbsp_lib.methods.ne import NE
from nbsp_lib.methods.npc import NPC
from nbsp_lib.methods.packnet import PackNet
from nbsp_lib.methods.pi import PI
from nbsp_lib.methods.quiet import Quiet
from nbsp_lib.methods.redo import ReDo
from nbsp_lib.methods.slow import Slow
from nbsp_lib.methods.upgd import UPGD

METHODS = {
    "sac": Method,
    "nbsp": NBSP,
    "ewc": EWC,
    "npc": NPC,
    "ancl": ANCL,
    "cotasp": CoTASP,
    "crelu": CReLU,
    "cbp": CBP,
    "pi": PI,
    "ne": NE,
    "upgd": UPGD,
    "er": ER,
    "clear": CLEAR,
    "clonex": ClonEx,
    "packnet": PackNet,
    "redo": ReDo,
    "slow": Slow,
    "quiet": Quiet,
}


@functools.cache
def find(name):
    """Returns the class called `name`: a key of METHODS, or an import path, "folder/file.py:Class" or "package.module:Class".

    ValueError says in one line what is wrong.
    """
    if name in METHODS:
        return METHODS[name]
    source, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(
            f'unknown method "{name}", there are {", ".join(METHODS)}; an import path looks like my_method.py:Mine'
        )
    try:
        module = load_file(source) if source.endswith(".py") else importlib.import_module(source)
    except Exception as error:  # whatever somebody's file raises, said with its name
        raise ValueError(f"{source} cannot be imported: {type(error).__name__}: {error}") from None
    found = getattr(module, attribute, None)
    if not (isinstance(found, type) and issubclass(found, Method)):
        classes = [
            k for k, v in vars(module).items() if isinstance(v, type) and issubclass(v, Method) and v is not Method
        ]
        raise ValueError(
            f'{source} has no method class "{attribute}"; subclasses of nbsp_lib.core.method.Method in it: '
            f"{', '.join(classes) or 'none'}"
        )
    return found


def load_file(path):
    """Returns the module in a file that need not be installed; files of one name in two folders are two modules."""
    place = hashlib.sha256(str(Path(path).resolve()).encode()).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(f"nbsp_method_{Path(path).stem}_{place}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
