"""The command `nbsp`: doctor, plan, run, status, promote. A bad name costs one line and exit code 2, never training time."""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from nbsp_lib.config import ConfigError, cell, check_seeds, config_hash, load_profile, tasks_of
from nbsp_lib.files import Corrupted
from nbsp_lib.progress import line
from nbsp_lib.strict import nearest, one_of

SHIPPED = "data/checkpoints"
EXAMPLES = {
    "doctor": "nbsp doctor",
    "plan": "nbsp plan --profile laptop --sequence window --arm nbsp fine-tuning",
    "run": "nbsp run --profile laptop --sequence window --arm nbsp --seeds 0 1 2 --population 3",
    "status": "nbsp status --profile laptop",
    "promote": "nbsp promote --profile laptop --sequence window --arm nbsp fine-tuning",
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


def place_for(profile, sequence, arm, root):
    """The result folder of a run, unless one with other settings is there: better now than after hours of training."""
    out = Path(root) / sequence / arm
    if (out / "run.json").exists():
        if json.loads((out / "run.json").read_text())["config_hash"] != config_hash(cell(profile, sequence, arm)):
            raise ConfigError(f"{out}: holds a run with other settings; move it away first")
    return out


def run(args):
    """Train what is missing, with a bar; finished runs are skipped, stopped ones go on where they stood."""
    import torch

    from nbsp_lib.planning import shipped
    from nbsp_lib.runs import train_run
    from nbsp_lib.ship import ship
    profile, grid, seeds = chosen(args)
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device: torch sees no CUDA GPU here, see nbsp doctor")
    places = [place_for(profile, sequence, arm, profile.checkpoints) for sequence, arm in grid]
    for (sequence, arm), out in zip(grid, places):
        wanted, kept = args.positions or len(tasks_of(sequence)), shipped(profile, sequence, arm)
        missing = [seed for seed in seeds if kept.get(seed, 0) < wanted]
        if len(missing) < len(seeds):
            print(f"{out}: seeds {', '.join(str(seed) for seed in seeds if seed not in missing)} are finished already")
        if missing:
            train_run(profile, sequence, arm, missing, args.population, args.positions, args.device)
            done = ship(profile, sequence, arm, missing, out)
            print(f"{out}: " + ", ".join(f"seed {seed}: {k} of {len(tasks_of(sequence))} positions" for seed, k in done.items()))


def status(args):
    """One line for each run: what is done, running (with time left), begun or missing."""
    from nbsp_lib.planning import shipped
    from nbsp_lib.runs import place, states_of, trunk_of
    profile, grid, seeds = chosen(args)
    for sequence, arm in grid:
        wanted, trunks = states_of(cell(profile, sequence, arm), seeds), states_of(trunk_of(cell(profile, sequence, arm)), seeds)
        kept = shipped(profile, sequence, arm)
        for seed in seeds:
            state = wanted[seed] if wanted[seed].manifest else trunks[seed]
            done = max(place(wanted[seed])[0], kept.get(seed, 0))
            print(f"{sequence:15} {arm:15} seed {seed}: {done} of {len(tasks_of(sequence))} positions, {activity(state)}")


def activity(state):
    """What the last sign of life of a state says."""
    report = state.folder / "progress.json"
    if not state.manifest:
        return "nothing begun here"
    if state.manifest.get("diverged"):
        return "diverged"
    try:
        with state.lock():
            return "not running"
    except BlockingIOError:
        if not report.exists():
            return "running"
        now = json.loads(report.read_text())
        stalled = f", stalled for {time.time() - now['time']:.0f} s" if time.time() - now["time"] > 600 else ""
        return f"running: {line(now)}{stalled}"


def plan(args):
    """Runs, hours, memory and disk of what the options ask for, from a few seconds of measuring here."""
    from nbsp_lib.planning import estimate
    profile, grid, seeds = chosen(args)
    print(estimate(profile, grid, seeds, args.population))


def promote(args):
    """Copy finished positions of runs from their states into data/checkpoints, with their manifest."""
    from nbsp_lib.ship import ship
    profile, grid, seeds = chosen(args)
    for sequence, arm in grid:
        out = place_for(profile, sequence, arm, SHIPPED)
        done = ship(profile, sequence, arm, seeds, out, last_only=args.last_only)
        said = ", ".join(f"seed {seed}: {k} of {len(tasks_of(sequence))}" for seed, k in done.items())
        print(f"{out}: {said or 'nothing finished'}")


def doctor(args):
    """Check this installation; exit code 1 if something is broken."""
    from nbsp_lib.doctor import examine
    return 0 if examine() else 1


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
    for function in (doctor, plan, run, status, promote):
        name = function.__name__
        sub = commands.add_parser(name, help=function.__doc__.splitlines()[0], description=function.__doc__,
                                  epilog=f"example: {EXAMPLES[name]}")
        sub.set_defaults(function=function)
        if name == "doctor":
            continue
        sub.add_argument("--profile", default="laptop", help="smoke, laptop (default) or paper")
        sub.add_argument("--sequence", nargs="+", help="sequences or single tasks; default: what the profile trains")
        sub.add_argument("--arm", nargs="+", help="arms of the profile; default: what the profile trains")
        sub.add_argument("--seeds", nargs="+", type=int, help="default: the profile's")
        if name in ("run", "plan"):
            sub.add_argument("--population", type=int, default=1, help="seeds trained as one tensor program (default 1)")
        if name == "run":
            sub.add_argument("--positions", type=int, help="stop after so many positions of the sequence (default: all)")
            sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="cpu (default) or cuda")
        if name == "promote":
            sub.add_argument("--last-only", action="store_true", help="only each seed's last network")
    return top


def main(argv=None) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        args = parser().parse_args(argv)
        for name in ("population", "positions"):
            if (number := getattr(args, name, None)) is not None and number < 1:
                raise ConfigError(f"--{name}: {number} must be at least 1")
        return args.function(args) or 0
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except Corrupted as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        return 130
    except BlockingIOError:
        print("another process is training one of these seeds; see nbsp status", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
