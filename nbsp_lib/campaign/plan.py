"""Estimates time, memory and disk of training: work counted from settings and states, speed timed here for seconds."""

from __future__ import annotations

import shutil
import time

import pandas as pd
import psutil
from tqdm import tqdm

from nbsp_lib.campaign.memory import NOTEBOOK, memory
from nbsp_lib.campaign.speed import measure
from nbsp_lib.campaign.work import planned
from nbsp_lib.envs.sequences import benchmark_of, distinct
from nbsp_lib.methods import find

SHARED = "(position 1)"  # trained once for all arms that start neutral
SECONDS = 2.5  # of measuring, over all methods and group sizes


def estimate(runs, seeds, population, processes=1):
    """Returns the plan as text: a row per run, then what was measured, memory, disk, and what was left out.

    processes: how many are to train at the same time.
    """
    imported = time.process_time()  # CPU seconds that this process took to get here
    runs = list({(run.sequence, run.arm): run for run in runs}.values())
    todo, every = (planned(runs, seeds, population, keep) for keep in (True, False))
    sizes = [memory(group.run, len(group.seeds)) for group in every]  # before the measuring needs any
    rates = measured([*every, *todo])  # what is left of a group can be smaller than the group
    hours = sum(group.hours(rates[kind_of(group)]) for group in todo)
    least = sum(group.hours(rates[kind_of(group)], group.least) for group in todo)
    lines = [table(todo, rates)]
    if rest := total(every, "positions") - total(todo, "positions"):
        lines.append(
            f"left out: {rest:.1f} positions of runs that are finished in {runs[0].profile.checkpoints} or "
            "data/checkpoints"
        )
    if least < hours:
        lines.append(f"at most; {least:.3f} hours if every task is mastered at its third evaluation")
    if todo:
        simulators = {(task, seed) for group in todo for task in group.run.tasks for seed in group.seeds}
        start = imported + len(simulators) * max(rate.start for rate in rates.values())
        lines.append(
            f"in all {start + 3600 * hours:,.0f} s of CPU time, {start:.0f} s of them to start: "
            "libraries, simulators, goals"
        )
    if every:
        lines += needs(every, rates, max(sizes, key=lambda size: size.peak), processes)
    return "\n".join(lines)


def kind_of(group):
    """What the speed of a group depends on: (benchmark, method, seeds trained together)."""
    return benchmark_of(group.run.tasks[0]), group.run.config["method"], len(group.seeds)


def measured(groups):
    """Returns {kind: speed.Rates} of the kinds of these groups, each timed on its sequence of the most tasks."""
    timed, rates, known = {}, {}, {}
    for group in sorted(groups, key=lambda group: len(distinct(group.run.tasks))):
        timed[kind_of(group)] = group.run
    for (benchmark, method, size), run in tqdm(timed.items(), desc="measuring", leave=False, disable=None):
        rate = measure(
            run.training, run.sequence, find(method)(), size, SECONDS / len(timed), known.get((benchmark, size))
        )
        rates[benchmark, method, size] = known[benchmark, size] = rate
    return rates


def total(groups, name):
    """One field of Work, over all seeds of all groups."""
    return sum(group.total(name) for group in groups)


def table(groups, rates):
    """Returns the rows as text: one for each run, and their total."""
    named = {}
    for group in groups:
        named.setdefault((group.run.sequence, SHARED if group.run.shared else group.run.arm), []).append(group)
    rows = [row(*name, some, rates) for name, some in named.items()] + [row("total", "", groups, rates)]
    return pd.DataFrame(rows).to_markdown(
        index=False, tablefmt="plain", intfmt=",", floatfmt=["", "", "", ".1f", "", "", "", ".3f", ".3f"]
    )


def row(sequence, arm, groups, rates):
    """Returns one row of the table: {column: value}."""
    hours = [group.hours(rates[kind_of(group)]) for group in groups]
    return {
        "sequence": sequence,
        "arm": arm,
        "seeds": sum(len(group.seeds) for group in groups),
        "positions": float(total(groups, "positions")),
        "updates": total(groups, "updates"),
        "env steps": total(groups, "played") + total(groups, "measured"),
        "groups": len(groups),
        "h/group": max(hours, default=0.0),
        "hours": float(sum(hours)),
    }


def needs(groups, rates, largest, processes):
    """Lines on the measured speeds, on memory (`largest`: the Memory of the largest group) and on disk."""
    core = sum(rate.core for rate in rates.values()) / len(rates)
    yield (
        "hours are CPU time of one core; nbsp run trains one group after the other. While this was measured "
        f"{core:.0%} of a core was free; under such a load they take {1 / core:.1f} times as long"
    )
    for (benchmark, size), rate in {(kind[0], kind[2]): rate for kind, rate in rates.items()}.items():
        yield (
            f"measured, {benchmark}, seeds together {size}: environment step {1e3 * rate.play:.2f} ms in training, "
            f"{1e3 * rate.evaluate:.2f} ms in evaluation"
        )
    for (benchmark, method, size), rate in rates.items():
        yield f"measured, {benchmark}, {method}, seeds together {size}: update {1e3 * rate.update:.1f} ms"
    yield f"memory: {largest.text()}; with --device cuda, replay and scoring are in the GPU's memory instead"
    yield (
        f"in notebooks, as the pipeline and --jobs run them, about {NOTEBOOK / 1e6:.0f} MB more each; {processes} at a time: "
        f"{processes * (largest.peak + NOTEBOOK) / 1e6:,.0f} MB of {psutil.virtual_memory().total / 1e6:,.0f} MB"
    )
    state = max(rate.replay for rate in rates.values()) + max(rate.state for rate in rates.values())
    network = max(rate.network for rate in rates.values())
    kept = sum(len(group.seeds) for group in groups) * state / 1e6
    shipped = sum(len(group.seeds) * len(group.run.tasks) for group in groups if not group.run.shared) * network / 1e6
    yield (
        f"disk: .state at most {kept:,.0f} MB, shipped networks {shipped:.1f} MB and csv files; "
        f"free here {shutil.disk_usage('.').free / 1e6:,.0f} MB"
    )
