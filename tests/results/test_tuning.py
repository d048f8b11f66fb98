"""Tuning is fair and apart: the same budget for every method, on tasks and seeds that no table reports."""
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic

from nbsp_lib.envs.sequences import distinct, tasks_of
from nbsp_lib.methods import METHODS
from nbsp_lib.results import tuning
from nbsp_lib.results.study import read_study
from nbsp_lib.runs.settings import load_profile

ROOT = Path(__file__).parents[2]
TUNING = load_profile(ROOT / tuning.PROFILE)
REPORTS = {name: load_profile(ROOT / path) for name, path in (
    ("shipped", "params.yaml"), ("laptop", "profiles/laptop/params.yaml"), ("paper", "profiles/paper/params.yaml"))}


@pytest.mark.parametrize("name", REPORTS)
def test_seeds_and_tasks_of_tuning_are_in_no_report(name):
    report = REPORTS[name]
    reported = {task for sequence in (*report.grid.sequences, *report.grid.references) for task in tasks_of(sequence)}
    reported |= {task for folder in (ROOT / "data/checkpoints").iterdir() for task in tasks_of(folder.name)}
    tuned = {task for sequence in TUNING.grid.sequences for task in distinct(tasks_of(sequence))}
    assert tuned and not tuned & reported
    assert min(TUNING.seeds) >= 1000 and not set(TUNING.seeds) & set(report.seeds)


NOTHING_TO_TUNE = {"sac", "crelu", "pi"}       # no setting of degree: one layout, one injection per switch


def test_every_method_has_the_same_budget_and_the_settings_of_the_reports():
    """Four values of one setting, one seed, the published or default value among them."""
    assert TUNING.train == REPORTS["laptop"].train
    assert set(TUNING.grid.train) == set(TUNING.grid.arms) == set(TUNING.arms)
    counts = Counter(arm.method for arm in TUNING.arms.values())
    assert set(counts) == set(METHODS) - NOTHING_TO_TUNE and set(counts.values()) == {4}
    for method in counts:
        tried = [tuning.decisive(TUNING, name) for name, arm in TUNING.arms.items() if arm.method == method]
        told = [re.sub("^0(?=.)", "0.", name.removeprefix(f"{method}-{tried[0][0].replace('_', '-')}-"))
                for name, arm in TUNING.arms.items() if arm.method == method]                       # 005 is 0.05
        assert [float(text) for text in told] == [value for _, value, _ in tried]
        assert len({setting for setting, _, _ in tried}) == 1 and len({value for _, value, _ in tried}) == 4
        assert tried[0][2] in {value for _, value, _ in tried}, f"{method}: the default {tried[0][2]} is not among the values"


def test_the_shipped_table_is_that_of_the_profile():
    table = pd.read_csv(ROOT / tuning.TABLE)
    assert list(table.columns) == tuning.COLUMNS
    planned = [(arm, seed) for arm in TUNING.grid.arms for seed in TUNING.seeds]
    assert list(table[["arm", "seed"]].itertuples(index=False, name=None)) == planned
    assert set(table.status) <= {"ok", "not run"} and (table.ASR.notna() == (table.status == "ok")).all()


def test_rows_hold_what_is_finished_and_keep_what_was(tmp_path, monkeypatch):
    """ASR of a run of made-up results by its definition; a row whose run is gone comes from the table before."""
    monkeypatch.setitem(synthetic.SEQUENCES, "tuning", tasks_of("tuning"))
    first, second = TUNING.grid.arms[:2]
    synthetic.write(tmp_path, "tuning", first, seeds=(1000,), R=np.array([[[0.5, 0.0], [0.4, 1.0]]]))
    made = type(TUNING)(**{**vars(TUNING), "checkpoints": str(tmp_path)})
    rows = tuning.tuning_rows(made, read_study(made, "tuning"))
    one = rows[rows.arm == first].iloc[0]
    assert one.status == "ok" and one.ASR == pytest.approx(0.7) and one.FM == pytest.approx(0.1) and one.value == 2
    assert (rows[rows.arm != first].status == "not run").all() and len(rows) == len(TUNING.grid.arms)
    before = rows.copy()
    before.loc[before.arm == second, ["status", "ASR"]] = ["ok", 0.25]
    again = tuning.kept(rows, before)
    assert again[again.arm == second].iloc[0].ASR == 0.25 and list(again.arm) == list(rows.arm)
    assert again[again.arm == first].iloc[0].ASR == pytest.approx(0.7)
