"""Folders for sockets. The path of a socket has at most 107 bytes (unix(7)), that of TMPDIR may be longer."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import ExitStack, contextmanager, suppress


def bindable(folder, name="k-99"):
    """Whether a socket called `name` can lie in a folder: the path is short enough, the file system knows sockets."""
    path = os.path.join(folder, name)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path)
        os.unlink(path)
    except OSError:
        return False
    return True


@contextmanager
def folder_for_sockets(first):
    """`first`, or if no socket can lie there a new folder with a shorter path, or None."""
    with ExitStack() as made:
        chosen = first if bindable(first) else None
        for place in (os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp"):
            if not chosen:
                with suppress(OSError):  # missing or not writable
                    temporary = tempfile.TemporaryDirectory(prefix="nb-", dir=place, ignore_cleanup_errors=True)
                    folder = made.enter_context(temporary)
                    chosen = folder if bindable(folder) else None
        yield chosen
