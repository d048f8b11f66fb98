"""Files that are whole or not there, and that are what their checksum says."""
from __future__ import annotations

import hashlib
import os
from pathlib import Path

from nbsp_lib.errors import Corrupted


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path, data, sync=True):
    """`data` (bytes or str) at `path`, whole or not at all, with `sync` also when the machine stops."""
    path, data = Path(path), data.encode() if isinstance(data, str) else data
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(part, path)


def checked(path, digest):
    """The bytes of `path`, if they are the ones that were written; Corrupted otherwise."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Corrupted(f"{path}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise Corrupted(f"{path}: the checksum differs from the recorded one; the file was damaged or replaced")
    return data


def enter_repository():
    """Make the nearest folder upwards with a dvc.yaml the current one: Jupyter starts in the folder of the notebook."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "dvc.yaml").exists():
            os.chdir(folder)
            return
