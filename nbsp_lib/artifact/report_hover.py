"""Figures to point at: learning curves and R matrix of a sequence seed by seed, as data for site/static/hover.js.

They stand below the static figures, which README and the notebook keep. As in the explorer, the page draws them itself: a
plotting library of the browser is about 1 MB a page, these need lines, shaded cells and a sentence.
"""

from __future__ import annotations

import json
import math

import pandas as pd

from nbsp_lib.envs.performance import BOUNDED, unit
from nbsp_lib.results.positions import spans
from nbsp_lib.runs.files import read_csv

DIGITS = 3


def rounded(values) -> list:
    """Numbers as JSON holds them: three digits after the point, null for NaN."""
    return [None if math.isnan(value) else round(float(value), DIGITS) + 0.0 for value in values]


def curves(frame: pd.DataFrame) -> dict:
    """Evaluations of learning_curves.csv: tasks; spans [position, task in training, start, end] in environment steps; and of
    every arm and seed its positions [E], steps since the position began [E] and a list of success [E] for each task."""
    tasks, arms = list(dict.fromkeys(frame.training_task)), {}
    for (arm, seed), own in frame.groupby(["arm", "seed"], sort=False):
        wide = own.pivot_table(index=["position", "step"], columns="task", values="success")[tasks]
        at = wide.index.to_frame()
        values = [rounded(wide[task]) for task in tasks]
        arms.setdefault(arm, []).append([int(seed), at.position.tolist(), at.step.tolist(), values])
    names = ["position", "training_task", "start", "end"]
    return {"tasks": tasks, "spans": spans(frame)[names].values.tolist(), "arms": arms}


def matrix(frame: pd.DataFrame) -> dict:
    """Cells of r_matrix.csv, finished ones: tasks; trained [K], the task of each position; seeds of an arm; and for each arm,
    position and task the list of success over its seeds (null: not there)."""
    frame = frame[frame.status == "ok"]
    tasks = list(dict.fromkeys(frame.training_task))
    trained = frame.drop_duplicates("position").sort_values("position").training_task.tolist()
    arms = {}
    for arm, own in frame.groupby("arm", sort=False):
        wide = own.pivot_table(index="seed", columns=["position", "task"], values="success")
        cells = [(position, task) for position in range(1, len(trained) + 1) for task in tasks]
        wide = wide.reindex(columns=pd.MultiIndex.from_tuples(cells))
        arms[arm] = {"seeds": wide.index.tolist(), "cells": [rounded(wide[cell]) for cell in cells]}
    return {"tasks": tasks, "trained": trained, "arms": arms}


KINDS = {
    "learning_curves": (curves, "Point at a line: which seed it is, and its value there."),
    "r_matrix": (matrix, "Point at a cell: every seed of the mean that it shows."),
}


def hover(results, subject: str, sequence: str) -> tuple[str, str]:
    """What stands below the figure of a page, (sentence, HTML); both empty where the subject has none or no table was made."""
    table = results / subject / sequence / f"{subject}.csv"
    if subject not in KINDS or not table.exists():
        return "", ""
    frame = read_csv(table)
    if frame.empty:
        return "", ""
    make, sentence = KINDS[subject]
    measure = unit(frame.task.iloc[0])
    data = {"kind": subject, "unit": measure, "bounded": measure in BOUNDED} | make(frame)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    return sentence, (
        '<div class="hover" id="hover"><noscript>This figure draws with a script of this page.</noscript></div>\n'
        f'<script type="application/json" id="hover-data">{text}</script>\n'
        '<script src="../_static/element.js" defer></script>\n<script src="../_static/hover.js" defer></script>\n'
    )
