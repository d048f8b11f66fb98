"""Files that are whole or not there, and that are what their checksum says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from nbsp_lib.errors import Corrupted
from nbsp_lib.runs.clone import refuse_foreign, root_of
from nbsp_lib.runs.disk import naming


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path, data, sync=True):
    """`data` (bytes or str) at `path`, whole or not at all, with `sync` also when the machine stops."""
    path, data = Path(path), data.encode() if isinstance(data, str) else data
    part = path.with_name(path.name + ".part")
    with naming(part):
        with open(part, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, path)


def read_csv(file):
    """The DataFrame of a csv file of ours. Only an empty cell is a missing value: a name such as "null" or "NA" is text."""
    import pandas as pd

    return pd.read_csv(file, keep_default_na=False, na_values=[""])


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
    """Make the root of the clone the current folder: Jupyter starts in the folder of the notebook. Outside a clone it stays as it
    is. ConfigError in a clone whose library is not the running one."""
    if root := root_of():
        os.chdir(root)
    refuse_foreign()
