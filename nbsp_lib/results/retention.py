"""Measures how fast an old task is forgotten after one switch.

R of both tasks, differences of arms paired by seed, the curves of position 2.

Reads folders as profile retention ships them: a sequence of two tasks, position 2 of equal length in all runs.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from nbsp_lib.results.evidence import same, start
from nbsp_lib.results.intervals import interval, sign_flip
from nbsp_lib.results.positions import visit
from nbsp_lib.results.study import read_result
from nbsp_lib.results.style import TASK_COLOURS, name_panel, panels
from nbsp_lib.runs.export import json_in, versions_of

PAIRS = (("nbsp", "replay-only"), ("nbsp", "mask-only"), ("replay-only", "fine-tuning"))
MEASURES = ("old", "old_through", "new", "asr")  # columns of seed_rows that arms are compared by


def read(folder, arms):
    """{arm: study.Result} of the arms that have a folder below `folder`, in their order; `folder` is named after the sequence."""
    found = {arm: read_result(Path(folder, arm), Path(folder).name, arm) for arm in arms}
    return {arm: result for arm, result in found.items() if result}


def done(result):
    """Seeds of a Result that have finished both positions."""
    return [seed for seed in result.run["seeds"] if result.finished(seed) == 2]


def seed_rows(read):
    """One row an arm and finished seed: columns arm, seed, steps_to_mastery, first, old, old_through, new, asr, network.

    steps_to_mastery: of position 1 (NaN: not mastered); first: R[1, old]; old, new: R[2, ·] of the first and of the second
    task; old_through: success on the old task averaged over the steps of position 2 (trapezoids, from its value at the
    switch); asr: the mean of old and new; network: first 16 digits of the sha256 of the network after position 1, where it ships.
    """
    rows = []
    for arm, result in read.items():
        old, new = result.run["config"]["tasks"]
        R = result.R.set_index(["seed", "position", "task"])
        curve = visit(result.curves[result.curves.task == old], 2, "success")  # a row a step, a column a seed
        for seed in done(result):
            steps, values = curve.index.to_numpy(dtype=float), curve[seed].to_numpy(dtype=float)
            rows.append(
                {
                    "arm": arm,
                    "seed": seed,
                    "steps_to_mastery": R.steps_to_mastery[seed, 1, old],
                    "first": R.success[seed, 1, old],
                    "old": R.success[seed, 2, old],
                    "old_through": np.trapezoid(values, steps) / (steps[-1] - steps[0]),
                    "new": R.success[seed, 2, new],
                    "asr": (R.success[seed, 2, old] + R.success[seed, 2, new]) / 2,
                    "network": result.run["files"].get(f"position1.seed{seed}.safetensors", "")[:16],
                }
            )
    columns = ["arm", "seed", "steps_to_mastery", "first", *MEASURES, "network"]
    return pd.DataFrame(rows, columns=columns).astype({"steps_to_mastery": "Int64"})


def same_start(read, seed, arms):
    """Whether these arms start position 2 of a seed alike, see evidence.same."""
    return same(start(read[arm], seed) for arm in arms)


def arm_table(rows):
    """One row an arm: columns arm, n, mastered, steps (mean to mastery, over those that did), and of each measure its mean
    and the lowest and the highest seed."""
    lines = []
    for arm, here in rows.groupby("arm", sort=False):
        lines.append(
            {
                "arm": arm,
                "n": len(here),
                "mastered": int(here.steps_to_mastery.notna().sum()),
                "steps": here.steps_to_mastery.mean(),
            }
            | {
                f"{name}{end}": here[name].agg(how)
                for name in MEASURES
                for end, how in (("", "mean"), ("_least", "min"), ("_most", "max"))
            }
        )
    return pd.DataFrame(lines)


def alike_at_switch(rows, read, pair):
    """Whether two arms start position 2 alike in every seed that both have in rows (and there is one): then they are paired."""
    seeds = set.intersection(*(set(rows[rows.arm == arm].seed) for arm in pair))
    return bool(seeds) and all(same_start(read, seed, pair) for seed in seeds)


def samples(rows, pair, measure, paired):
    """A measure of two arms, [n] and [m]; paired: of the seeds that both have, in one order."""
    own = [rows[rows.arm == arm].set_index("seed")[measure].astype(float).sort_index() for arm in pair]
    both = own[0].index.intersection(own[1].index)
    return [each.loc[both].to_numpy() if paired else each.to_numpy() for each in own]


def pair_table(rows, read, pairs=PAIRS):
    """One row a pair of arms and measure, over the seeds that both have finished: columns arm, against, measure, n, same (seeds
    that start position 2 alike), more, fewer (seeds with a positive, a negative difference arm − against), mean, low, high (95 %
    interval: Student's t, or where not all seeds start alike Welch's of the two samples, see verdict_rules.md), p (sign_flip),
    p_least (the least p that n pairs can give); p is NaN where not all seeds start alike."""
    lines = []
    for pair in pairs:
        paired = alike_at_switch(rows, read, pair)
        both = [rows[rows.arm == arm].set_index("seed") for arm in pair]
        seeds = sorted(set(both[0].index) & set(both[1].index))
        for measure in MEASURES:
            d = (both[0][measure].reindex(seeds) - both[1][measure].reindex(seeds)).round(6).to_numpy(dtype=float)
            mean, low, high = interval(
                [(1.0, d)] if paired else list(zip((1.0, -1.0), samples(rows, pair, measure, False), strict=True))
            )
            lines.append(
                {
                    "arm": pair[0],
                    "against": pair[1],
                    "measure": measure,
                    "n": len(seeds),
                    "same": sum(same_start(read, seed, pair) for seed in seeds),
                    "more": int((d > 0).sum()),
                    "fewer": int((d < 0).sum()),
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "p": sign_flip(d) if paired else math.nan,
                    "p_least": 2 / 2 ** len(seeds) if seeds else math.nan,
                }
            )
    return pd.DataFrame(lines)


def where_trained(read):
    """(hardware, versions of torch) of the finished seeds, each sorted; from timing.json and run.json."""
    hardware, torch = set(), set()
    for result in read.values():
        timing, versions = json_in(result.folder / "timing.json"), versions_of(result.run)
        hardware |= {(timing.get(str(seed)) or {}).get("hardware") or "not recorded" for seed in done(result)}
        torch |= {versions[seed].get("torch", "not recorded") for seed in done(result)}
    return sorted(hardware), sorted(torch)


def sentence(row, text):
    """What one row of pair_table says, in words. text: of its measure, such as "success on x at the end"."""
    counted = (
        f"**{row.arm}** has more {text} than **{row.against}** in {row.more} of {row.n} seeds, less in {row.fewer}"
    )
    if not row.n:
        return f"**{row.arm}** and **{row.against}**: no seed has finished both."
    said = (
        "the interval holds 0: these runs do not tell the two apart"
        if row.low <= 0 <= row.high
        else f"the interval lies {'above' if row.low > 0 else 'below'} 0"
    )
    exact = f"; p = {row.p:.4f}" if row.p == row.p else "; not paired: position 1 is not the same in every seed"
    bounds = f" [{row.low:+.3f}, {row.high:+.3f}], {said}{exact}" if row.n > 1 else ", one seed shows no spread"
    return f"{counted}; mean difference {row['mean']:+.3f}{bounds}."


def curves_figure(read, title):
    """Success on both tasks over the steps of position 2: a column an arm, a row a task; thin: a seed, thick: the mean.

    Each line begins with the last evaluation of position 1. Above a panel stands the mean of R[2, task].
    """
    tasks = next(iter(read.values())).run["config"]["tasks"]
    figure, axes = panels(2, len(read), 9.6 / len(read), 1.75, title, sharex=True, sharey=True)
    for column, (arm, result) in enumerate(read.items()):
        for row, task in enumerate(tasks):
            ax, seeds = axes[row, column], done(result)
            curve = visit(result.curves[result.curves.task == task], 2, "success")[seeds]
            ax.plot(curve.index, curve, color=TASK_COLOURS[row], lw=0.7, alpha=0.5)
            ax.plot(curve.index, curve.mean(axis=1), color=TASK_COLOURS[row], lw=2)
            last = result.R[(result.R.position == 2) & (result.R.task == task) & result.R.seed.isin(seeds)].success
            name_panel(ax, ("" if row else f"{arm}, {len(seeds)} seeds\n") + f"at the end {last.mean():.2f}")
    for row, (task, word) in enumerate(zip(tasks, ("old", "new"), strict=True)):
        axes[row, 0].set_ylabel(f"{word} task: {task}", fontsize=8, color=TASK_COLOURS[row], fontweight="bold")
    axes[0, 0].set_ylim(-0.04, 1.04)
    axes[0, 0].set_yticks([0, 0.5, 1])
    axes[0, 0].margins(x=0)
    axes[0, 0].xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g}k" if step else "0")
    figure.supxlabel(
        "environment steps of one seed since the switch; thin: a seed; thick: the mean; "
        "the end: the last three evaluations together",
        fontsize=8,
    )
    figure.supylabel("success at any step", fontsize=8)
    return figure
