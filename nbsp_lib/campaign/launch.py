"""What `nbsp run` does once its options are read: what is missing is trained in this process, or by an engine's."""
from __future__ import annotations

import math
import sys
import time
from pathlib import Path

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.runs.disk import closed, probe
from nbsp_lib.runs.settings import ConfigError, cell

MINUTE = 60.0


def launch(args, profile, grid, seeds):
    """The exit code of `nbsp run`. args: its options; grid: [(sequence, arm)]. What can be refused is refused before training:
    options without effect, result folders of other settings, a disk without locks or one that may not be written."""
    deadline = time.monotonic() + MINUTE * args.minutes if args.minutes else math.inf
    import torch

    from nbsp_lib.campaign.plan import footprint, shipped
    from nbsp_lib.runs.export import check_same_run, ship
    from nbsp_lib.runs.train_run import OVER, TIME_OVER, Stopped, train_run
    check_backend(args)
    if args.device == "cuda" and args.backend in (None, "local") and not torch.cuda.is_available():
        raise ConfigError("--device: torch sees no CUDA GPU here, see nbsp doctor")
    places = [Path(profile.checkpoints) / sequence / arm for sequence, arm in grid]
    for (sequence, arm), out in zip(grid, places):          # better now than after hours of training
        check_same_run(cell(profile, sequence, arm), out)
    for folder in (".state", profile.checkpoints):          # and so are locks, and folders that may be written
        probe(folder)
        if refused := closed(folder):
            raise refused
    if args.jobs or args.backend:
        return with_engine(args, profile, grid, seeds, deadline)
    for (sequence, arm), out in zip(grid, places):
        wanted, kept = args.positions or len(tasks_of(sequence)), shipped(profile, sequence, arm)
        missing = [seed for seed in seeds if kept.get(seed, 0) < wanted]
        if len(missing) < len(seeds):
            print(f"{out}: seeds {', '.join(str(seed) for seed in seeds if seed not in missing)} are finished already")
        if missing:
            print(footprint(profile, sequence, arm, min(args.population, len(missing))))
            try:
                train_run(profile, sequence, arm, missing, args.population, args.positions, args.device,
                          workers=args.workers, compile=compiles(args), deadline=deadline)
            except Stopped:
                if time.monotonic() < deadline:
                    raise
                print(OVER, file=sys.stderr)
                return TIME_OVER
            done = ship(profile, sequence, arm, missing, out)
            print(f"{out}: " + ", ".join(f"seed {seed}: {k} of {len(tasks_of(sequence))} positions" for seed, k in done.items()))


def check_backend(args):
    """Refuses options that would be without effect."""
    for name, needed, there in (("gpus", "--device cuda", args.device == "cuda"),
                                ("gpus", "--jobs or --backend", args.jobs or args.backend),
                                ("compile", "--device cpu", args.device == "cpu"),
                                ("no_dvc", "--jobs or --backend", args.jobs or args.backend),
                                ("partition", "--backend slurm", args.backend == "slurm")):
        if getattr(args, name) not in (None, False) and not there:
            raise ConfigError(f"--{name.replace('_', '-')}: only with {needed}")


def with_engine(args, profile, grid, seeds, deadline):
    """The exit code of a campaign on the backend that the options ask for."""
    from nbsp_lib.campaign.backends import BACKENDS
    from nbsp_lib.campaign.backends.local import visible_gpus
    from nbsp_lib.campaign.engine import campaign
    jobs, name, gpus = args.jobs or 1, args.backend or "local", args.gpus
    if gpus is None:                                        # as many on each GPU as there must be; elsewhere a whole one
        gpus = 0.0 if args.device == "cpu" else 1 / -(-jobs // len(visible_gpus())) if name == "local" else 1.0
    options = {"partition": args.partition, "minutes": args.minutes} if name == "slurm" else {}
    backend = BACKENDS[name](jobs, gpus, **{key: value for key, value in options.items() if value is not None})
    if backend.jobs < jobs:
        print(f"--jobs: {backend.jobs} at a time, more do not fit on the visible GPUs")
    return campaign(profile, grid, seeds, backend, args.population, args.positions, args.device, not args.no_dvc,
                    workers=args.workers, compile=compiles(args), deadline=deadline)


def compiles(args):
    """Whether to compile on a CPU: as asked, by default where a C++ compiler is found. All of smoke is quicker than compiling."""
    from nbsp_lib.core.compilation import cpp_compiler
    if args.compile is None:
        return args.device == "cpu" and args.profile != "smoke" and bool(cpp_compiler())
    return args.compile
