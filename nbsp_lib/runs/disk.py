"""What a disk refuses: locks, another user's folders, read-only copies, no room. Each costs one line that names the folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
import time
from pathlib import Path

_FULL = "what was saved last stands, and the same command goes on when there is room"
_CLOSED = "it belongs to another user or is a read-only copy; work in a clone of your own"
_LOCKLESS = "this file system has no file locks (flock), and without them two processes could train one seed; work on another one"
REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: _CLOSED,
    errno.ENOLCK: _LOCKLESS,
    errno.ENOSYS: _LOCKLESS,
    errno.EOPNOTSUPP: _LOCKLESS,
}


def remedy(error):
    """One line on an OSError of REMEDIES: folder, what the system says, what to do. None for any other."""
    if error.errno not in REMEDIES or isinstance(error, BlockingIOError):
        return None
    path = Path(os.path.abspath(error.filename if isinstance(error.filename, (str, os.PathLike)) else "."))
    with contextlib.suppress(OSError):
        path = path if path.is_dir() else path.parent
    return f"{path}: {error.strerror}: {REMEDIES[error.errno]}"


@contextlib.contextmanager
def naming(path):
    """Names `path` in an OSError that names no file, as those of writing and locking do."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def lock(file, kind=fcntl.LOCK_EX, giving_up=None):
    """flock on an open file. While another process holds it: waits; with `giving_up`, a function, until that is true, and
    raises BlockingIOError then. Any other OSError names the file."""
    with naming(file.name):
        while giving_up:
            try:
                return fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if giving_up():
                    raise
                time.sleep(0.2)
        fcntl.flock(file, kind)


def probe(folder):
    """Take a lock and write in `folder`, or in the nearest folder upwards that exists. OSError, which names the folder."""
    folder = Path(folder).absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    with naming(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"?" * 4096)
        file.flush()
        with naming(folder):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def closed(folder):
    """PermissionError of a folder or a lock file from `folder` downwards that this user may not read and write, or None."""
    found = []
    for place, folders, names in os.walk(folder):  # what cannot be listed is passed over, and asked about in its parent
        locks = [name for name in names if name == "lock"]
        found += [
            path
            for path in (place, *(os.path.join(place, name) for name in (*folders, *locks)))
            if not os.access(path, os.R_OK | os.W_OK) and os.path.exists(path)
        ]  # others may move theirs meanwhile
        if found:
            return PermissionError(errno.EACCES, os.strerror(errno.EACCES), found[0])
    return None
