"""The base class of backends, and the backend that starts processes on this machine."""

from __future__ import annotations

import importlib
import os

from nbsp_lib.campaign.worker import kill_tree, spawn


class Backend:
    """`jobs` tasks at a time; `gpus` is the share of a GPU that each of them gets."""

    def __init__(self, jobs, gpus=0.0):
        self.jobs, self.gpus, self.handles = jobs, gpus, []
        if not 0 <= gpus <= 1:
            refuse(f"--gpus: {gpus:g} must be in [0, 1], the share of one GPU for each run")

    def running(self):
        """The handles of unfinished tasks."""
        self.handles = [handle for handle in self.handles if handle.poll() is None]
        return self.handles

    @property
    def capacity(self):
        """How many tasks may be started now."""
        return self.jobs - len(self.running())

    def start(self, task):
        """-> handle."""
        handle = self.launch(task)
        self.handles.append(handle)
        return handle

    def close(self):
        """Kills what still runs."""
        for handle in self.running():
            handle.kill()


class Process:
    """Handle of a process of this machine; gpu: where it was put."""

    def __init__(self, process, gpu=None):
        self.process, self.gpu = process, gpu

    def poll(self):
        return self.process.poll()

    def stop(self):
        self.process.terminate()

    def kill(self):
        kill_tree(self.process.pid)


class Local(Backend):
    """Processes of this machine. GPU shares are spread over the visible GPUs, at most 1 on each."""

    def __init__(self, jobs, gpus=0.0):
        super().__init__(jobs, gpus)
        self.visible = visible_gpus() if gpus else []
        if gpus:
            self.jobs = min(jobs, int(1 / gpus + 1e-6) * len(self.visible))  # 1 / (1/3) must give 3

    def launch(self, task):
        if not self.gpus:
            return Process(spawn(task))
        load = {gpu: sum(handle.gpu == gpu for handle in self.running()) for gpu in self.visible}
        gpu = min(load, key=load.get)
        return Process(spawn(task, CUDA_VISIBLE_DEVICES=gpu), gpu)


def visible_gpus():
    """Names of the GPUs, as CUDA_VISIBLE_DEVICES has them; ConfigError if there is none."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        import torch

        names = [str(number) for number in range(torch.cuda.device_count())]
    else:
        names = [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    return names or refuse("--gpus: no CUDA GPU is visible here, see nbsp doctor")


def needed(name, extra=None):
    """The module `name` of an extra; ConfigError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        refuse(f'{name} is not installed: pip install "nbsp-lib[{extra or name}]"')


def refuse(text):
    from nbsp_lib.errors import ConfigError

    raise ConfigError(text)
