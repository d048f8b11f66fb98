"""Starts notebook kernels as copies of a process that has imported the libraries.

A pipeline of forty pages would otherwise import torch, pandas and matplotlib forty times.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import signal
import sys
import traceback
from contextlib import suppress

from jupyter_client.provisioning import LocalProvisioner

# what pages and their runner import; matplotlib chooses its backend at the first figure, so in the kernel
PRELOAD = [
    "nbsp_lib.artifact.notebook",
    "nbsp_lib.artifact.warm",
    "papermill",
    "papermill.engines",
    "papermill.clientwrap",
    "jupytext",
    "psutil",
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "IPython.core.completer",
    "torch",
    "scipy.stats",
    "seaborn",
    "nbsp_lib.results.study",
    "nbsp_lib.results.neuron_figures",
    "nbsp_lib.results.retention",
]


class ForkedKernel:
    """A copy of this process that waits for a kernel's arguments.

    It has the part of subprocess.Popen that jupyter_client uses. To be made while this process has one thread. The copy
    ends with this process, or when it is told nothing.
    """

    stdin = stdout = stderr = None

    def __init__(self):
        read, self.write = os.pipe()
        self.returncode = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.write)
            be_kernel(read)
        os.close(read)

    def start(self, arguments, env, cwd):
        with open(self.write, "w") as told:
            json.dump({"arguments": arguments, "env": env, "cwd": str(cwd)}, told)

    def _wait(self, options):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def poll(self):
        return self._wait(os.WNOHANG)

    def wait(self):
        return self._wait(0)

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def be_kernel(told):
    """Waits for the arguments, then runs the kernel; does not return.

    The steps are those of `python -m ipykernel_launcher`.
    """
    code = 1
    try:
        os.setsid()  # Ctrl-C is for the runner, which interrupts the kernel
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with open(told) as pipe:
            text = pipe.read()
        if text:
            job = json.loads(text)
            os.environ.clear()
            os.environ.update(job["env"])
            os.chdir(job["cwd"])
            sys.argv = ["ipykernel_launcher", *job["arguments"]]
            multiprocessing.set_start_method(None, force=True)  # the system's usual one, not the pipeline's
            import pandas
            from ipykernel import kernelapp

            pandas.set_option("display.max_columns", 20)  # what its import sets in a kernel, and only there
            kernelapp.launch_new_instance()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()  # into the log of the stage
    finally:
        with suppress(BaseException):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class WarmProvisioner(LocalProvisioner):
    """Gives a kernel manager a ForkedKernel, `copy`, where it would start a process."""

    copy = None

    async def launch_kernel(self, cmd, **kwargs):
        """cmd: as the kernelspec says, [python, ..., "-m", "ipykernel_launcher", arguments]."""
        env = {**(kwargs.get("env") or os.environ), "JPY_PARENT_PID": str(os.getpid())}
        self.cwd = kwargs.get("cwd") or os.getcwd()
        self.copy.start(cmd[cmd.index("ipykernel_launcher") + 1 :], env, self.cwd)
        self.process, self.pid, self.pgid = self.copy, self.copy.pid, self.copy.pid
        return self.connection_info


def provision(manager, copy):
    """Makes a kernel manager use `copy` as its kernel; call it before the manager starts."""
    manager.provisioner = WarmProvisioner(kernel_id="warm", kernel_spec=manager.kernel_spec, parent=manager)
    manager.provisioner.copy = copy
