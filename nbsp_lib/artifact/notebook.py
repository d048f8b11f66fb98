"""Executes a notebook source and writes a byte-stable copy.

`python -m nbsp_lib.artifact.notebook source.py target.ipynb -p name value`

Parameters are the constants of the cell tagged `parameters`. A value is YAML, but that of a parameter declared as text is
text. An unknown name or a wrong type is refused before a kernel starts (exit 2, one line). A failing notebook leaves
target.failed.ipynb and no target (exit 1). After a BlockingIOError another process holds a lock: retry later (exit 75).
Ctrl-C and SIGTERM stop the kernel (exit 130, 143), which gets time to save. The notebook runs in the current folder, the
root of the repository.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    from nbsp_lib.artifact.parameters import checked, declared
except ModuleNotFoundError as error:  # a stage of dvc calls the `python` it finds first
    sys.exit(f"{sys.executable} has no {error.name}: activate the environment first, with source .venv/bin/activate")

from nbsp_lib.artifact.canonical import KERNEL, canonical
from nbsp_lib.artifact.pairs import check as check_pair
from nbsp_lib.artifact.sockets import folder_for_sockets
from nbsp_lib.errors import ConfigError
from nbsp_lib.runs.clone import refuse_foreign
from nbsp_lib.runs.progress import watching

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
QUIET = {
    "TQDM_DISABLE": "1",
    "SOURCE_DATE_EPOCH": "0",
    "PYTHONHASHSEED": "0",
    "JUPYTER_PREFER_ENV_PATH": "1",
    "OMP_NUM_THREADS": "1",  # a sum over two threads may end in another last bit
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
PATIENCE = (
    60.0  # seconds between an interrupt and SIGTERM to a kernel that has not ended: training ends its round and saves
)


class Stopped(KeyboardInterrupt):
    """Raised by the signal args[0]. Code that catches Exception does not catch it."""


@contextmanager
def stoppable():
    """Raises Stopped in the main thread at SIGINT or SIGTERM; at the end kills the processes of the kernel that remain.

    Other code may swallow the exception, or the kernel its interrupt. So a kernel that still runs after a third of
    PATIENCE gets SIGTERM: a kernel that is saving ignores it, any other ends.
    """
    import psutil

    family, came = [], []

    def stop(number, frame):
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not cut the clean-up short
        logging.getLogger("asyncio").disabled = True  # the error of the interrupted cell is expected
        family.extend(psutil.Process().children(recursive=True))
        came.append(number)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE / 3)
        raise Stopped(number)

    def insist(number, frame):
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.terminate()

    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGALRM: insist}
    before = {each: signal.signal(each, handler) for each, handler in handlers.items()}
    try:
        yield
    except Exception:
        if came:  # what the kernel's end looks like to papermill
            raise Stopped(came[0]) from None
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for each, handler in before.items():
            signal.signal(each, handler)


def engine(copy=None):
    """papermill's engine, except that a kernel whose cells are done gets 10 s to end, not PATIENCE: it has nothing to save.
    About one kernel in a hundred ignores the request. copy: a warm.ForkedKernel to take in place of a new process."""
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine
    from papermill.log import logger

    from nbsp_lib.artifact.warm import provision

    class Client(PapermillNotebookClient):
        def create_kernel_manager(self):
            manager = super().create_kernel_manager()
            if copy:
                provision(manager, copy)
            return manager

        def papermill_execute_cells(self):
            super().papermill_execute_cells()
            self.km.shutdown_wait_time = 10  # half of it before SIGTERM, half before SIGKILL

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, start_timeout, config, **others):
            client = Client(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, config=config, log=logger)
            return client.execute()

    return Engine


def execute(source, target, pairs=(), copy=None):
    """Runs source (its .py pair) with the parameters (name, text) and writes target, or raises: ConfigError before
    any kernel starts; afterwards what stopped the notebook, with target.failed.ipynb left behind. copy: as in `engine`."""
    import jupytext
    import nbformat

    source, target = Path(source), Path(target)
    source = source.with_suffix(".py") if source.name else source
    if not source.is_file():
        alone = source.parent / f"{source.stem}.ipynb"
        raise ConfigError(
            f"{alone}: has no .py beside it: jupytext --set-formats ipynb,py:percent {alone}"
            if alone.is_file()
            else f"{source}: no such notebook source"
        )
    if target.suffix != ".ipynb" or target.resolve() == source.with_suffix(".ipynb").resolve():
        raise ConfigError(f"{target}: the target must be another .ipynb than that of the source")
    check_pair(source)
    nb = jupytext.read(source)
    parameters = checked(pairs, declared(nb, source), source)

    import papermill
    from traitlets.config import Config

    for cell in nb.cells:
        cell.metadata.setdefault("tags", [])  # papermill expects them
    nb.metadata["kernelspec"] = KERNEL
    failed, part = target.with_suffix(".failed.ipynb"), target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # a stale result must not pass for a new one
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from None
    with (
        tempfile.TemporaryDirectory(prefix="nb-", ignore_cleanup_errors=True) as scratch,
        folder_for_sockets(scratch) as sockets,
    ):
        os.environ.update(QUIET, IPYTHONDIR=scratch)  # no start-up files of the user
        # The default path of sockets is shared by all kernels of a folder: parallel notebooks would answer each other.
        where = {"transport": "ipc", "ip": f"{sockets}/k"} if sockets else {"transport": "tcp", "ip": "127.0.0.1"}
        settings = Config(
            {
                "KernelManager": {**where, "shutdown_wait_time": 2 * PATIENCE},
                # a kernel is shut down with an interrupt, which it logs as an error
                "NotebookClient": {"extra_arguments": ["--log-level=CRITICAL"]},
            }
        )
        papermill.engines.papermill_engines.register("patient", engine(copy))
        nb = papermill.execute_notebook(
            nb,
            str(failed),
            parameters,
            engine_name="patient",
            kernel_name=KERNEL["name"],
            progress_bar=False,
            record_timing=False,
            start_timeout=300,
            config=settings,
        )
    part.write_text(nbformat.writes(canonical(nb)) + "\n", encoding="utf-8")
    os.replace(part, target)
    failed.unlink(missing_ok=True)


def main(argv=None, copy=None) -> int:
    """The exit code; what went wrong is said on stderr. copy: as in `engine`."""
    parser = argparse.ArgumentParser(
        prog="python -m nbsp_lib.artifact.notebook", description="Execute a notebook source."
    )
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    args = parser.parse_args(argv)
    try:
        refuse_foreign()
        with stoppable(), watching():
            execute(args.source, args.target, args.p, copy)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"{args.source}: stopped by {signal.Signals(stopped.args[0]).name}", file=sys.stderr)
        return 128 + stopped.args[0]
    except Exception as error:
        if getattr(error, "ename", "") == "BlockingIOError":  # papermill's name for what the notebook raised
            print(f"{args.source}: another process is training one of these seeds, see nbsp status", file=sys.stderr)
            Path(args.target).with_suffix(".failed.ipynb").unlink(missing_ok=True)
            return os.EX_TEMPFAIL
        if getattr(error, "ename", "") == "ConfigError":  # says all in a line
            print(f"{args.source}: {error.evalue}", file=sys.stderr)
            return 1
        end = COLOUR.sub("", f"{type(error).__name__}: {error}").strip().splitlines()[-5:]
        where = Path(args.target).with_suffix(".failed.ipynb")
        print(*end, f"{args.source}: failed, see {where}", sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
