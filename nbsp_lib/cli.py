"""The command `nbsp`: doctor, plan, run, status, promote, check-method.

A bad name costs one line and exit code 2, never training time."""
from __future__ import annotations

import argparse
import errno
import inspect
import os
import sys
from pathlib import Path

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.errors import Corrupted, nearest, one_of
from nbsp_lib.runs.settings import ConfigError, cell, check_seeds, load_profile
from nbsp_lib.runs.strict import scalar

SHIPPED = "data/checkpoints"
EXAMPLES = {
    "doctor": "nbsp doctor",
    "plan": "nbsp plan --profile laptop --sequence window --arm nbsp fine-tuning",
    "run": "nbsp run --profile laptop --sequence window --arm nbsp fine-tuning --jobs 2",
    "status": "nbsp status --profile laptop",
    "promote": "nbsp promote --profile laptop --sequence window --arm nbsp fine-tuning\n"
               "         nbsp promote --profile laptop --from ../campaign --copy-only",
    "check-method": "nbsp check-method docs/my_method.py:Anchor --set strength=10",
}


def profile_of(name):
    """The profile called `name`: "shipped" is params.yaml, every other one a folder of profiles/."""
    known = ["shipped", *sorted(path.parent.name for path in Path("profiles").glob("*/params.yaml"))]
    one_of(name, known, "profile", "--profile")
    return load_profile("params.yaml" if name == "shipped" else f"profiles/{name}/params.yaml")


def chosen(args):
    """-> profile, [(sequence, arm)], seeds: what the options ask for, by default what the profile trains."""
    profile = profile_of(args.profile)
    sequences, arms = args.sequence or profile.grid.sequences, args.arm or profile.grid.train
    for sequence in sequences:
        tasks_of(sequence, "--sequence")
    for arm in arms:
        one_of(arm, profile.arms, "arm", "--arm")
    if args.command in ("run", "promote") and profile.checkpoints == SHIPPED:
        raise ConfigError('--profile: "shipped" trains nothing, nearest valid name: "laptop"')
    grid = [(sequence, arm) for sequence in dict.fromkeys(sequences) for arm in dict.fromkeys(arms)]
    if not args.sequence and not args.arm:
        grid += [(task, arm) for task in profile.grid.references for arm in profile.grid.alone]
    return profile, grid, check_seeds(list(args.seeds or profile.seeds), "--seeds")


def run(args):
    """Train what is missing; finished runs are skipped, stopped ones go on where they stood.

    With a bar, one after the other; with --jobs or --backend as processes, each retried once: of this machine, of a Ray
    cluster, or as jobs of Slurm.
    """
    import torch

    from nbsp_lib.campaign.plan import footprint, shipped
    from nbsp_lib.runs.export import check_same_run, ship
    from nbsp_lib.runs.train_run import train_run
    profile, grid, seeds = chosen(args)
    check_backend(args)
    if args.device == "cuda" and args.backend in (None, "local") and not torch.cuda.is_available():
        raise ConfigError("--device: torch sees no CUDA GPU here, see nbsp doctor")
    places = [Path(profile.checkpoints) / sequence / arm for sequence, arm in grid]
    for (sequence, arm), out in zip(grid, places):          # better now than after hours of training
        check_same_run(cell(profile, sequence, arm), out)
    if args.jobs or args.backend:
        return with_engine(args, profile, grid, seeds)
    for (sequence, arm), out in zip(grid, places):
        wanted, kept = args.positions or len(tasks_of(sequence)), shipped(profile, sequence, arm)
        missing = [seed for seed in seeds if kept.get(seed, 0) < wanted]
        if len(missing) < len(seeds):
            print(f"{out}: seeds {', '.join(str(seed) for seed in seeds if seed not in missing)} are finished already")
        if missing:
            print(footprint(profile, sequence, arm, min(args.population, len(missing))))
            train_run(profile, sequence, arm, missing, args.population, args.positions, args.device,
                      workers=args.workers, compile=compiles(args))
            done = ship(profile, sequence, arm, missing, out)
            print(f"{out}: " + ", ".join(f"seed {seed}: {k} of {len(tasks_of(sequence))} positions" for seed, k in done.items()))


def check_backend(args):
    """Refuses options that would be without effect."""
    for name, needed, there in (("gpus", "--device cuda", args.device == "cuda"),
                                ("gpus", "--jobs or --backend", args.jobs or args.backend),
                                ("compile", "--device cpu", args.device == "cpu"),
                                ("no_dvc", "--jobs or --backend", args.jobs or args.backend),
                                ("partition", "--backend slurm", args.backend == "slurm"),
                                ("minutes", "--backend slurm", args.backend == "slurm")):
        if getattr(args, name) not in (None, False) and not there:
            raise ConfigError(f"--{name.replace('_', '-')}: only with {needed}")


def with_engine(args, profile, grid, seeds):
    """The exit code of a campaign on the backend that the options ask for."""
    from nbsp_lib.campaign.backends.local import visible_gpus
    from nbsp_lib.campaign.backends.ray import BACKENDS
    from nbsp_lib.campaign.engine import campaign
    jobs, name, gpus = args.jobs or 1, args.backend or "local", args.gpus
    if gpus is None:                                        # as many on each GPU as there must be; elsewhere a whole one
        gpus = 0.0 if args.device == "cpu" else 1 / -(-jobs // len(visible_gpus())) if name == "local" else 1.0
    options = {"partition": args.partition, "minutes": args.minutes} if name == "slurm" else {}
    backend = BACKENDS[name](jobs, gpus, **{key: value for key, value in options.items() if value is not None})
    if backend.jobs < jobs:
        print(f"--jobs: {backend.jobs} at a time, more do not fit on the visible GPUs")
    return campaign(profile, grid, seeds, backend, args.population, args.positions, args.device, not args.no_dvc,
                    workers=args.workers, compile=compiles(args))


def compiles(args):
    """Whether to compile on a CPU: as asked, by default where a C++ compiler is found. All of smoke is quicker than compiling."""
    from nbsp_lib.core.compilation import cpp_compiler
    if args.compile is None:
        return args.device == "cpu" and args.profile != "smoke" and bool(cpp_compiler())
    return args.compile


def status(args):
    """What is done, running (with time left), stalled, failed, stopped (begun, not running) or missing."""
    from nbsp_lib.campaign.status import show
    show(*chosen(args))


def plan(args):
    """Runs, hours, memory and disk of what the options ask for, from a few seconds of measuring here."""
    from nbsp_lib.campaign.plan import estimate
    profile, grid, seeds = chosen(args)
    print(estimate(profile, grid, seeds, args.population, args.jobs or 1))


def promote(args):
    """Copy finished positions of runs from their states into data/checkpoints; then regenerate the tables, accept them.

    With --from, of whatever stands further in the result folders of another clone, with what was recorded there."""
    from nbsp_lib.campaign.promote import promote, runs_of
    profile, grid, seeds = chosen(args)
    if clone := getattr(args, "from"):                       # a word of Python
        grid, seeds = runs_of(profile, clone, args.sequence, args.arm), args.seeds
    return promote(profile, grid, seeds, args.last_only, args.copy_only, args.replace, clone)


def doctor(args):
    """Check this installation; exit code 1 if something is broken."""
    from nbsp_lib.artifact.doctor import check_installation
    return 0 if check_installation() else 1


def check_method(args):
    """Hold a method to what every method must hold to, on small networks; seconds. path: file.py:Class, package.module:Class
    or a name of METHODS. Exit code 1 if something does not hold."""
    from nbsp_lib.methods import check, find
    from nbsp_lib.runs.settings import arm_of
    settings = dict(pair.partition("=")[::2] for pair in args.set or ())
    chosen = arm_of("checked", {"method": args.path} | {key: scalar(value) for key, value in settings.items()}, "check-method")
    print(f"{args.path} with " + (", ".join(f"{key}={value}" for key, value in chosen.settings.items()) or "no settings"))
    return 0 if check.check_method(lambda: find(chosen.method)(**chosen.settings)) else 1


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose refusals are a ConfigError of one line."""

    def __init__(self, **settings):
        super().__init__(**settings, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)

    def parse_args(self, args=None, namespace=None):
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            options = [f"--{name.replace('_', '-')}" for name in vars(parsed) if name not in ("command", "function")]
            raise ConfigError(f'nbsp {parsed.command}: unknown option "{rest[0]}", {nearest(rest[0], [*options, "--help"])}')
        return parsed

    def error(self, message):
        raise ConfigError(f"{self.prog}: {message}")


def parser():
    top = Parser(prog="nbsp", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for function in (doctor, plan, run, status, promote, check_method):
        name = function.__name__.replace("_", "-")
        sub = commands.add_parser(name, help=function.__doc__.splitlines()[0], description=inspect.getdoc(function),
                                  epilog=f"example: {EXAMPLES[name]}")
        sub.set_defaults(function=function)
        if name == "check-method":
            sub.add_argument("path", help="my_method.py:Class, package.module:Class, or a name such as ewc")
            sub.add_argument("--set", nargs="+", metavar="NAME=VALUE", help="settings that differ from their defaults")
        if name in ("doctor", "check-method"):
            continue
        sub.add_argument("--profile", default="laptop", help="smoke, laptop (default) or paper")
        sub.add_argument("--sequence", nargs="+", help="sequences or single tasks; default: what the profile trains")
        sub.add_argument("--arm", nargs="+", help="arms of the profile; default: what the profile trains")
        sub.add_argument("--seeds", nargs="+", type=int, help="default: the profile's")
        if name in ("run", "plan"):
            sub.add_argument("--jobs", type=int, metavar="N", help="so many processes at a time (default: none, all in this one)")
            sub.add_argument("--population", type=int, default=1, help="seeds trained as one tensor program (default 1)")
        if name == "run":
            sub.add_argument("--positions", type=int, help="stop after so many positions of the sequence (default: all)")
            sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="cpu (default) or cuda")
            sub.add_argument("--workers", type=int, default=0, help="processes that step the environments of a job, for a GPU")
            sub.add_argument("--compile", action=argparse.BooleanOptionalAction,
                             help="on a CPU; default: where there is a C++ compiler, but not smoke. Faster, other last bits")
            sub.add_argument("--backend", choices=("local", "ray", "slurm"), help="where the processes run (default local)")
            sub.add_argument("--gpus", type=float, metavar="SHARE", help="of one GPU for each process; default: as --jobs fit")
            sub.add_argument("--partition", help="of Slurm")
            sub.add_argument("--minutes", type=int, help="time limit of a job of Slurm, which goes on in another (default 1440)")
            sub.add_argument("--no-dvc", action="store_true", help="do not record finished stages with dvc commit")
        if name == "promote":
            sub.add_argument("--last-only", action="store_true", help="only each seed's last network")
            sub.add_argument("--copy-only", action="store_true", help="copy, and leave the tables for later")
            sub.add_argument("--replace", action="store_true", help="in place of a run with other settings, which goes")
            sub.add_argument("--from", metavar="FOLDER", help="another clone; by default all that stands further there")
    return top


def main(argv=None) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        args = parser().parse_args(argv)
        for name in ("population", "positions", "jobs", "minutes"):
            if (number := getattr(args, name, None)) is not None and number < 1:
                raise ConfigError(f"--{name}: {number} must be at least 1")
        if getattr(args, "workers", 0) < 0:
            raise ConfigError(f"--workers: {args.workers} must be at least 0")
        return args.function(args) or 0
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except Corrupted as error:
        print(error, file=sys.stderr)
        return 1
    except BlockingIOError:
        print("another process is training one of these seeds; see nbsp status", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"{error.strerror}: what was saved last stands, and the same command goes on when there is room", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
