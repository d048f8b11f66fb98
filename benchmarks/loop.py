"""The whole training loop: environment steps per second with their updates, against the plain script; where our time goes."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from dataclasses import replace
from unittest import mock

from benchmarks import common
from benchmarks.plain_sac import Script
from benchmarks.updates import MEDIUM
from nbsp_lib.campaign.work import work_from
from nbsp_lib.core.compilation import cpp_compiler
from nbsp_lib.core.replay import Replay
from nbsp_lib.envs.env_pool import Pool
from nbsp_lib.envs.metaworld import GOALS, MetaWorld
from nbsp_lib.methods import METHODS
from nbsp_lib.training import networks, rollout, trainer

PROFILES = {"paper": "batch 256, an update every step", "laptop": "batch 128, an update every second step"}
POPULATIONS = {"cpu": (1, 3), "cuda": (1, 5, 16)}  # seeds in a process of ours
EPISODE = 25  # steps of our episodes while measuring: a portion must be short; quick: 3
# Our parts: the functions in which their time is spent, as the library calls them. Gathering a batch is sampling.
PARTS = {
    "act": [(trainer.Trainer, "act")],
    "step": [(MetaWorld, "step"), (MetaWorld, "reset")],
    "store": [(Replay, "add")],
    "sample": [(trainer.Trainer, "draws"), (trainer.Trainer, "update"), (Replay, "gather")],
    "update": [(trainer, "update_from_rows")],
}


def make_ours(name, rows, episode, goals, P=1, precision="highest", device="cpu", compile=False, workers=0):
    common.as_in_training()
    settings = replace(common.profile(name).train, episode=episode, matmul_precision=precision)
    trainer = common.filled(settings, METHODS["sac"](), P, device, rows * P, compile)
    make = Pool(workers) if workers else MetaWorld
    env = make(common.TASK, trainer.seeds, trainer.train.envs, episode)
    env.goals = goals

    def work():
        trainer.play_round(env)  # a portion; the first one compiles
        return len(trainer.seeds) * trainer.train.envs * episode

    if device == "cuda":
        work()  # half a minute of compiling, of all contestants side by side
    work.graphs = trainer.graphs
    return work


def make_plain(name, rows, device):
    settings = common.profile(name).train
    script = Script(common.TASK, settings.layers[0], settings.batch, round(1 / settings.updates_per_step), rows, device)
    buffer = script.agent.buffer
    buffer.added, buffer.columns[:4] = rows, [0 * column + 0.1 for column in buffer.columns[:4]]  # pages in use

    def work():
        script.go(2)
        return 2

    return work


class Clock:
    """Seconds spent in functions wrapped from outside, each without what was spent in the wrapped functions it called."""

    def __init__(self):
        self.seconds, self.inner = Counter(), []

    def wrap(self, label, function):
        def timed(*args, **kwargs):
            self.inner.append(0.0)
            begun = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - begun
                self.seconds[label] += spent - self.inner.pop()
                if self.inner:
                    self.inner[-1] += spent

        return timed

    @contextlib.contextmanager
    def watching(self, parts):
        with contextlib.ExitStack() as patches:
            for label, places in parts.items():
                for owner, name in places:
                    patches.enter_context(
                        mock.patch.dict(owner, {name: self.wrap(label, owner[name])})
                        if isinstance(owner, dict)
                        else mock.patch.object(owner, name, self.wrap(label, getattr(owner, name)))
                    )
            yield self


def spent(work, parts, seconds):
    """Counter of the seconds of each part and of the rest, for each unit of `work`; as many portions as fit into `seconds`."""
    clock, units, begun = Clock(), 0, time.perf_counter()
    with clock.watching(parts):
        whole = clock.wrap("rest", work)
        while not units or time.perf_counter() - begun < seconds:
            units += whole()
    return Counter({label: total / units for label, total in clock.seconds.items()})


def shares(name, seconds, rows, episode, goals, compile=False):
    """Rows: seconds of each part over one position, from seconds for each step measured here and the profile's own counts.

    Compiled, gathering a batch is part of the update.
    """
    made, ours, parts = common.profile(name).train, make_ours(name, rows, episode, goals, compile=compile), PARTS
    if compile:
        ours()
        parts = PARTS | {"update": [(ours.graphs, "update")]}
    playing = spent(ours, parts, seconds)
    trainer = common.filled(made, METHODS["sac"]())
    agent = networks.snapshot(trainer.agent)

    def measure():
        rollout.rollout(agent, common.TASK, trainer.seeds, rollout.WAVE, episode, goals=[0])
        return rollout.WAVE * episode

    measuring = spent(measure, {"step": PARTS["step"]}, seconds / 2)
    work = work_from(common.position(made, METHODS["sac"]()), (0, -1))
    learned = work.updates / made.updates_per_step
    total = {
        part: playing[part] * (learned if part in ("act", "sample", "update") else work.played)
        for part in (*PARTS, "rest")
    }
    total["evaluate"] = sum(measuring.values()) * work.measured
    physics = total["step"] + measuring["step"] * work.measured
    whole = sum(total.values())
    mode = {"profile": name, "mode": "compiled" if compile else "plain calls"}
    rows = [
        {
            **mode,
            "part": part,
            "seconds": s,
            "share": s / whole,
            "each": 1e3 * (sum(measuring.values()) if part == "evaluate" else playing[part]),
        }
        for part, s in total.items()
    ]
    both = total["update"] + physics
    return [
        *rows,
        {**mode, "part": "updates + environment steps", "seconds": both, "share": both / whole},
        {**mode, "part": "a position", "seconds": whole, "share": 1.0},
    ]


def extra(parser):
    parser.add_argument("--profile", choices=PROFILES, help="one of them (default both)")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that step the environments of ours, for a GPU"
    )


def main(argv=None):
    options = common.options("loop", __doc__, argv, slices=5, seconds=4.0, devices=("cpu", "cuda"), add=extra)
    if options.workers and options.device == "cpu":
        sys.exit("--workers: only with --device cuda; a core of a CPU is better used by another process")
    profiles = [name for name in PROFILES if options.profile in (None, name)]
    compiles = options.device == "cpu" and not options.quick and bool(cpp_compiler())  # half a minute each
    episode, goals, replay = *((3, 1) if options.quick else (EPISODE, GOALS)), common.rows_of(options)
    common.warm_environments(common.TASK, goals)
    rows, parts, cores = [], [], []
    for name in profiles:
        ours, populations = (make_ours, name, replay, episode, goals), POPULATIONS[options.device]
        placed = (options.device, False, options.workers)
        both = {"plain script": (make_plain, name, replay, options.device)} | {
            f"ours, {P} seed{'s' * (P > 1)}": (*ours, P, "highest", *placed) for P in populations
        }
        P = populations[-1]
        both[f"ours, {P} seeds, {MEDIUM}"] = (*ours, P, "medium", *placed)
        if compiles:
            both |= {
                f"ours, {P} seed{'s' * (P > 1)}, compiled": (*ours, P, "highest", "cpu", True) for P in populations
            }
        rates, core = common.contest(both, options)
        cores.append(core)
        said = f"{common.profile(name).train.layers[0]} wide, {PROFILES[name]}"
        rows += [
            {"profile": name, "settings": said, "what": who, **common.against(rates, who, "plain script")}
            for who in rates
        ]
    for name in profiles if options.device == "cpu" else ():  # on a GPU parts overlap
        for compile in (False, True)[: 1 + compiles]:
            parts += shares(name, options.seconds, replay, episode, goals, compile)
    first = {
        "profile": "profile",
        "settings": "settings",
        "what": "who",
        "rate": "env steps/s",
        "ratio": "against plain",
        "lowest": "lowest",
        "highest": "highest",
    }
    second = {
        "profile": "profile",
        "mode": "mode",
        "part": "part",
        "seconds": "s in a position",
        "share": "share",
        "each": "ms a step",
    }
    tables = [
        common.table(f"Training loop on {common.TASK}, {options.processes} process(es), {options.device}", first, rows)
    ]
    if parts:
        tables.append(
            common.table(
                "Where our time goes: one position of one seed, evaluations included, estimated from measured rates",
                second,
                parts,
            )
        )
    common.publish("loop", options, common.median(cores), tables)


if __name__ == "__main__":
    sys.exit(main())
