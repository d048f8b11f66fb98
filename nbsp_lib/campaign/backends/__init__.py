"""Where the processes of a campaign run: on this machine, on a Ray cluster, or as jobs of Slurm.

A backend starts a Task while it has `capacity` and returns a handle: `poll()` is None or the exit code (negative: killed by
that signal), `stop()` asks the process to save and end, `kill()` does not ask. `close()` releases what the backend holds.
Commands, logs and states lie on a file system that every machine sees under the same path.
"""

from __future__ import annotations

from nbsp_lib.campaign.backends.local import Local
from nbsp_lib.campaign.backends.ray import Ray
from nbsp_lib.campaign.backends.slurm import Slurm

BACKENDS = {"local": Local, "ray": Ray, "slurm": Slurm}
