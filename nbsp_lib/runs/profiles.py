"""A profile's file and what all profiles share, merged into one document.

A file of profiles/ names paths, a size, its grid and its seeds. The root's params.yaml, a profile itself, holds once what all of
them share: sizes, arms and analysis.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

from nbsp_lib.errors import ConfigError, one_of
from nbsp_lib.runs.strict import convert, mapping, read_yaml, required

OWN = ("profile", "root", "here", "out", "checkpoints", "shipped", "size", "arms_in", "grid", "seeds")
SHARED = ("sizes", "arms", "analysis")
BASE = "laptop"  # the size that every other one says its difference from
TRAINING = ("train", "atari", "dmc")


@contextmanager
def said_of(path, inside=""):
    """Begins a refusal with the file and with the key that the refused one lies in."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {inside}{error}") from None


def over(base, value, key):
    """The mapping `base` with what `value` names in its place. ConfigError if `value` is no mapping."""
    mapping(value, value, f"{key}.")
    return base | value


def read_profile(path):
    """(document, {section: (file, key around it)}) of the profile in a file, values unchecked. ConfigError.

    The document holds the keys OWN, the sections TRAINING of the profile's size, `arms` (those of the file `arms_in`) and
    `analysis`.
    """
    own = read_yaml(path)
    with said_of(path):
        mapping(own, [*OWN, *SHARED], "", needed=())
        required(own, OWN, "")
        texts = {name: convert(own[name], str, name) for name in ("root", "size", "arms_in")}
        root = Path(path).parent / texts["root"]
        shared, arms_in = (os.path.normpath(root / name) for name in ("params.yaml", texts["arms_in"]))
        files = {"sizes": shared, "arms": arms_in, "analysis": shared}
        for name in own.keys() & files.keys():
            if not os.path.exists(files[name]) or not os.path.samefile(path, files[name]):
                raise ConfigError(f"{name}: is read from {files[name]}, not from here")
    found = {}
    for name, file in files.items():
        document = own if name in own else found.get(file) or read_yaml(file)
        found[file] = document
        with said_of(file):
            required(document, [name], "")
            over({}, document[name], name)
    with said_of(path):
        one_of(texts["size"], found[shared]["sizes"], "size", "size")
    made = {name: own[name] for name in OWN}
    with said_of(shared):
        required(found[shared]["sizes"], [BASE], "sizes.")
        base, size = (
            {"arms": {}, "analysis": {}} | over({}, found[shared]["sizes"].get(name), f"sizes.{name}")
            for name in (BASE, texts["size"])
        )
        for name, one in ((BASE, base), (texts["size"], size)):
            mapping(one, [*TRAINING, "arms", "analysis"], f"sizes.{name}.", needed=TRAINING if name == BASE else ())
        around = f"sizes.{texts['size']}."
        for name in TRAINING:
            made[name] = over(over({}, base[name], f"sizes.{BASE}.{name}"), size.get(name, {}), f"{around}{name}")
        made["atari"], made["dmc"] = ({**made["train"], **made[name]} for name in ("atari", "dmc"))
        made["analysis"] = over(found[shared]["analysis"], size["analysis"], f"{around}analysis")
        for name in over({}, size["arms"], f"{around}arms"):
            one_of(name, found[arms_in]["arms"], "arm", f"{around}arms")
        made["arms"] = found[arms_in]["arms"] | size["arms"]
    return made, dict.fromkeys(TRAINING, (shared, around)) | {"arms": (arms_in, ""), "analysis": (shared, "")}


def check_places(path, made):
    """Refuses a profile that names another one's places, as a copied file does until it is edited: {key of OWN: value}.

    A job reads the file that `here` names, and two profiles that write into one folder overwrite each other's pages. Letters that
    a shell reads cannot come into the commands of dvc.yaml either.
    """
    path = Path(path).resolve()
    root, folder = (path.parent / made["root"]).resolve(), path.parent.name
    if not path.is_relative_to(root):
        return
    right = {"here": path.relative_to(root).as_posix()}
    if path.parent.parent == root / "profiles":
        right |= {"profile": folder, "out": f"runs/{folder}", "checkpoints": f"runs/{folder}/checkpoints"}
    for name, value in right.items():
        if made[name] != value:
            raise ConfigError(f'{name}: "{made[name]}" does not fit the folder of this file, expected "{value}"')
    for section, below in (("learn", "learn"), ("causes", "results")):
        known = sorted(each.stem for each in (root / "notebooks" / below).glob("*.py"))
        for i, name in enumerate(getattr(made["grid"], section)):
            if known:
                one_of(name, known, "notebook", f"grid.{section}[{i}]")
