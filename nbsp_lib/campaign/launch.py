"""The command `nbsp run` after its options are read: trains what is missing, in this process or with an engine."""

from __future__ import annotations

import math
import sys
import time

import torch

from nbsp_lib.campaign.backends import BACKENDS
from nbsp_lib.campaign.backends.local import visible_gpus
from nbsp_lib.campaign.campaign import campaign
from nbsp_lib.campaign.memory import footprint
from nbsp_lib.core import compilation
from nbsp_lib.envs.sequences import benchmark_of
from nbsp_lib.errors import ConfigError
from nbsp_lib.runs.disk import closed, probe
from nbsp_lib.runs.export import check_same_run, ship
from nbsp_lib.runs.run import STATE, Placement
from nbsp_lib.runs.train_run import OVER, TIME_OVER, Stopped, train_run

MINUTE = 60.0


def launch(args, runs, seeds):
    """Returns the exit code of `nbsp run`. args: its options. What can be refused is refused before training: options without
    effect, result folders of other settings, a disk without locks or one that may not be written."""
    deadline = time.monotonic() + MINUTE * args.minutes if args.minutes else math.inf
    check_backend(args)
    if args.device == "cuda" and args.backend in (None, "local") and not torch.cuda.is_available():
        raise ConfigError("--device: torch sees no CUDA GPU here, see nbsp doctor")
    others = [run.sequence for run in runs if args.workers and benchmark_of(run.tasks[0]) != "metaworld"]
    if others:
        raise ConfigError(
            f"--workers: {others[0]} is not of Meta-World, the only benchmark that other processes step; "
            "more seeds at a time use more of a machine: --population"
        )
    for run in runs:  # better now than after hours of training
        check_same_run(run, run.folder)
    for folder in (
        STATE,
        *{run.profile.checkpoints for run in runs},
    ):  # and so are locks, and folders that may be written
        probe(folder)
        if refused := closed(folder):
            raise refused
    placement = Placement(args.population, args.positions, args.device, args.workers, compiles(args))
    if args.jobs or args.backend:
        return with_engine(args, runs, seeds, placement, deadline)
    for run in runs:
        missing = run.unfinished(seeds, args.positions)
        if len(missing) < len(seeds):
            print(
                f"{run.folder}: seeds {', '.join(str(seed) for seed in seeds if seed not in missing)} are finished already"
            )
        if missing and not trained(run, missing, placement, deadline):
            print(OVER, file=sys.stderr)
            return TIME_OVER


def trained(run, seeds, placement, deadline):
    """Trains seeds of a run in this process and ships them; returns False if the deadline came before the end."""
    print(footprint(run, min(placement.population, len(seeds))))
    try:
        train_run(run, seeds, placement, deadline=deadline)
    except Stopped:
        if time.monotonic() < deadline:
            raise
        return False
    finished, K = ship(run, seeds, run.folder), len(run.tasks)
    print(f"{run.folder}: " + ", ".join(f"seed {seed}: {done} of {K} positions" for seed, done in finished.items()))
    return True


def check_backend(args):
    """Refuses options that would be without effect."""
    for name, needed, there in (
        ("gpus", "--device cuda", args.device == "cuda"),
        ("gpus", "--jobs or --backend", args.jobs or args.backend),
        ("compile", "--device cpu", args.device == "cpu"),
        ("no_dvc", "--jobs or --backend", args.jobs or args.backend),
        ("partition", "--backend slurm", args.backend == "slurm"),
    ):
        if getattr(args, name) not in (None, False) and not there:
            raise ConfigError(f"--{name.replace('_', '-')}: only with {needed}")


def with_engine(args, runs, seeds, placement, deadline):
    """Returns the exit code of a campaign on the backend that the options ask for."""
    jobs, name = args.jobs or 1, args.backend or "local"
    options = {"partition": args.partition, "minutes": args.minutes} if name == "slurm" else {}
    backend = BACKENDS[name](
        jobs, gpu_share(args), **{key: value for key, value in options.items() if value is not None}
    )
    if backend.jobs < jobs:
        print(f"--jobs: {backend.jobs} at a time, more do not fit on the visible GPUs")
    return campaign(runs, seeds, backend, placement, not args.no_dvc, deadline=deadline)


def gpu_share(args):
    """Returns the share of one GPU that each process gets: as asked, otherwise so that all jobs fit on the GPUs of this machine;
    a whole one elsewhere."""
    if args.gpus is not None:
        return args.gpus
    if args.device == "cpu":
        return 0.0
    if args.backend in ("ray", "slurm"):
        return 1.0
    jobs_per_gpu = math.ceil((args.jobs or 1) / len(visible_gpus()))
    return 1 / jobs_per_gpu


def compiles(args):
    """Whether to compile on a CPU: as asked, by default where a C++ compiler is found. All of smoke is quicker than compiling."""
    if args.compile is None:
        return args.device == "cpu" and args.profile != "smoke" and bool(compilation.cpp_compiler())
    return args.compile
