"""Tasks of a Ray cluster."""

from __future__ import annotations

import os
import signal
import tempfile
import time

from nbsp_lib.artifact.sockets import bindable
from nbsp_lib.campaign.backends.local import Backend, needed, refuse
from nbsp_lib.campaign.worker import call

SOCKET = f"ray-session_{'x' * 60}-plasma_store"  # as long as the paths that Ray makes below the folder of TMPDIR


class Ray(Backend):
    """Tasks of a Ray cluster, `gpus` = num_gpus of each: the one at `address` (or RAY_ADDRESS), otherwise one of this machine."""

    def __init__(self, jobs, gpus=0.0, address=None):
        super().__init__(jobs, gpus)
        self.ray = needed("ray")
        # An ending Ray worker would kill its children at once. Without that they get SIGTERM and save.
        orphans = {"env_vars": {"RAY_kill_child_processes_on_worker_exit": "false"}}
        address = address or os.environ.get("RAY_ADDRESS", "local")
        here = {"num_cpus": jobs, "include_dashboard": False} if address == "local" else {}
        if here and not bindable(tempfile.gettempdir(), SOCKET):
            here["_temp_dir"] = f"/tmp/ray-{os.getuid()}"
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.ray.init(address=address, log_to_driver=False, logging_level="error", runtime_env=orphans, **here)
        except Exception as error:  # Ray raises plain ones too, when it cannot be started in time
            refuse(f"Ray: {str(error).splitlines()[0]}")
        for number, handler in before.items():  # ray.init puts its own in place of the engine's
            signal.signal(number, handler)
        if gpus and not self.ray.cluster_resources().get("GPU"):
            self.ray.shutdown()
            refuse("--gpus: Ray knows of no GPU here")  # its tasks would wait forever

    def launch(self, task):
        settings = {"num_cpus": 1, "num_gpus": self.gpus, "max_retries": 0, "name": task.name}
        return RayTask(self.ray, self.ray.remote(call).options(**settings).remote(task, os.getcwd()))

    def close(self):
        super().close()
        self.ray.shutdown()


class RayTask:
    """Handle of a task of Ray."""

    def __init__(self, ray, reference):
        self.ray, self.reference, self.code = ray, reference, None

    def poll(self):
        if self.code is None and self.ray.wait([self.reference], timeout=0)[0]:
            try:
                self.code = self.ray.get(self.reference)
            except self.ray.exceptions.TaskCancelledError:  # before it had begun
                self.code = -signal.SIGTERM
            except self.ray.exceptions.RayError:  # the machine or its Ray was lost
                self.code = -signal.SIGKILL
        return self.code

    def stop(self):
        self.ray.cancel(self.reference)  # arrives in `call` as a SIGINT

    def kill(self):
        self.stop()
        time.sleep(0.5)
        self.stop()  # the second one kills
