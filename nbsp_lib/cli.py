"""The command `nbsp`: doctor, plan, run, status, promote, check-method.

A bad name costs one line and exit code 2, never training time."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.errors import Corrupted, nearest, one_of
from nbsp_lib.runs.clone import refuse_foreign, root_of
from nbsp_lib.runs.disk import remedy
from nbsp_lib.runs.settings import ConfigError, check_seeds, load_profile
from nbsp_lib.runs.strict import scalar
from nbsp_lib.usage import ABOUT, EXAMPLES, TEXTS


def profile_of(name):
    """The profile called `name`: "shipped" is params.yaml, every other one a folder of profiles/."""
    if root_of() is None:
        raise ConfigError(f"{Path.cwd()}: neither this folder nor one above is a clone of the repository; cd into one")
    known = ["shipped", *sorted(path.parent.name for path in Path("profiles").glob("*/params.yaml"))]
    one_of(name, known, "profile", "--profile")
    return load_profile("params.yaml" if name == "shipped" else f"profiles/{name}/params.yaml")


def chosen(args):
    """-> profile, [Run], seeds: what the options ask for, by default what the profile trains."""
    profile = profile_of(args.profile)
    from nbsp_lib.runs.run import Run  # here, because --help and a wrong profile need no torch

    sequences, arms = args.sequence or profile.grid.sequences, args.arm or profile.grid.train
    for sequence in sequences:
        tasks_of(sequence, "--sequence")
    for arm in arms:
        one_of(arm, profile.arms, "arm", "--arm")
    if args.command in ("run", "promote") and profile.checkpoints == profile.shipped:
        raise ConfigError('--profile: "shipped" trains nothing, nearest valid name: "laptop"')
    grid = [(sequence, arm) for sequence in dict.fromkeys(sequences) for arm in dict.fromkeys(arms)]
    if not args.sequence and not args.arm:
        grid += [(task, arm) for task in profile.grid.references for arm in profile.grid.alone]
    return profile, [Run(profile, *one) for one in grid], check_seeds(list(args.seeds or profile.seeds), "--seeds")


def run(args):
    """The exit code of a campaign; see launch."""
    _, runs, seeds = chosen(args)
    from nbsp_lib.campaign.launch import launch  # here as below: a refused option needs no simulator

    return launch(args, runs, seeds)


def status(args):
    """Print how far every run is."""
    _, runs, seeds = chosen(args)
    from nbsp_lib.campaign.status import show

    show(runs, seeds)


def plan(args):
    """Print what the runs would take."""
    _, runs, seeds = chosen(args)
    from nbsp_lib.campaign.plan import estimate

    print(estimate(runs, seeds, args.population, args.jobs or 1))


def promote(args):
    """Copy finished positions to where the profile ships its runs."""
    from nbsp_lib.campaign.promote import promote, runs_of

    profile, runs, seeds = chosen(args)
    if clone := getattr(args, "from"):  # a word of Python
        runs, seeds = runs_of(profile, clone, args.sequence, args.arm), args.seeds
    return promote(profile, runs, seeds, args.networks, args.copy_only, args.replace, clone)


def doctor(args):
    """The exit code of the checks of this installation."""
    from nbsp_lib.artifact.doctor import check_installation

    return 0 if check_installation() else 1


def check_method(args):
    """The exit code of the checks of a method."""
    from nbsp_lib.methods import check, find
    from nbsp_lib.runs.arms import arm_of, text_settings

    settings = dict(pair.partition("=")[::2] for pair in args.set or ())
    typed = {key: value if key in text_settings(args.path) else scalar(value) for key, value in settings.items()}
    chosen = arm_of("checked", {"method": args.path} | typed, "check-method")
    print(
        f"{args.path} with " + (", ".join(f"{key}={value}" for key, value in chosen.settings.items()) or "no settings")
    )
    return 0 if check.check_method(lambda: find(chosen.method)(**chosen.settings)) else 1


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose refusals are a ConfigError of one line."""

    def __init__(self, **settings):
        super().__init__(**settings, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)

    def parse_args(self, args=None, namespace=None):
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            options = [f"--{name.replace('_', '-')}" for name in vars(parsed) if name not in ("command", "function")]
            raise ConfigError(
                f'nbsp {parsed.command}: unknown option "{rest[0]}", {nearest(rest[0], [*options, "--help"])}'
            )
        return parsed

    def error(self, message):
        raise ConfigError(f"{self.prog}: {message}")


def integer(text):
    """The int that a text of digits means, as a YAML file has it. ValueError for what only Python reads as one, such as 1_0."""
    if not re.fullmatch("-?[0-9]+", text):
        raise ValueError
    return int(text)


integer.__name__ = "int"  # argparse says: invalid int value


def parser():
    top = Parser(prog="nbsp", description=ABOUT)
    commands = top.add_subparsers(dest="command", required=True)
    for function in (doctor, plan, run, status, promote, check_method):
        name = function.__name__.replace("_", "-")
        sub = commands.add_parser(
            name, help=TEXTS[name].splitlines()[0], description=TEXTS[name], epilog=f"example: {EXAMPLES[name]}"
        )
        sub.set_defaults(function=function)
        if name == "check-method":
            sub.add_argument("path", help="my_method.py:Class, package.module:Class, or a name such as ewc")
            sub.add_argument("--set", nargs="+", metavar="NAME=VALUE", help="settings that differ from their defaults")
        if name in ("doctor", "check-method"):
            continue
        sub.add_argument("--profile", default="laptop", help="smoke, laptop (default) or paper")
        sub.add_argument("--sequence", nargs="+", help="sequences or single tasks; default: what the profile trains")
        sub.add_argument("--arm", nargs="+", help="arms of the profile; default: what the profile trains")
        sub.add_argument("--seeds", nargs="+", type=integer, help="default: the profile's")
        if name in ("run", "plan"):
            sub.add_argument(
                "--jobs", type=integer, metavar="N", help="so many processes at a time (default: all in this one)"
            )
            sub.add_argument(
                "--population", type=integer, default=1, help="seeds trained as one tensor program (default 1)"
            )
        if name == "run":
            sub.add_argument(
                "--positions", type=integer, help="stop after so many positions of the sequence (default: all)"
            )
            sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="cpu (default) or cuda")
            sub.add_argument(
                "--workers", type=integer, default=0, help="processes that step a job's environments, for a GPU"
            )
            sub.add_argument(
                "--compile",
                action=argparse.BooleanOptionalAction,
                help="on a CPU; default: where there is a C++ compiler, but not smoke. Faster, other last bits",
            )
            sub.add_argument(
                "--backend", choices=("local", "ray", "slurm"), help="where the processes run (default local)"
            )
            sub.add_argument(
                "--gpus", type=float, metavar="SHARE", help="of one GPU for each process; default: as --jobs fit"
            )
            sub.add_argument("--partition", help="of Slurm")
            sub.add_argument(
                "--minutes", type=integer, help="then save and end, also on a cluster; the same command goes on"
            )
            sub.add_argument("--no-dvc", action="store_true", help="do not record finished stages with dvc commit")
        if name == "promote":
            sub.add_argument(
                "--networks",
                choices=("all", "actors", "last", "none"),
                default="all",
                help="of the seeds that are copied: with critics (default), actors of all positions, each last actor, or none",
            )
            sub.add_argument("--copy-only", action="store_true", help="copy, and leave the tables for later")
            sub.add_argument("--replace", action="store_true", help="in place of a run with other settings, which goes")
            sub.add_argument("--from", metavar="FOLDER", help="another clone; by default all that stands further there")
    return top


def enter(args):
    """Go to the root of the clone one stands in; what was typed as a path is seen from where it was typed."""
    if args.command != "doctor":  # it says so among its lines
        refuse_foreign()
    root = root_of()
    if args.command == "check-method" or root in (None, Path.cwd()):
        return
    if getattr(args, "from", None):
        setattr(args, "from", os.path.abspath(getattr(args, "from")))
    os.chdir(root)
    print(f"in {root}", file=sys.stderr)


def main(argv=None) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        args = parser().parse_args(argv)
        enter(args)
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
        if not (line := remedy(error)):
            raise
        print(line, file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
