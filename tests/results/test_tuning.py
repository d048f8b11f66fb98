"""Tuning is fair and apart: the same budget for every method, on seeds that no table reports, chosen by the written rule."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from test_result_notebooks import run

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.methods import METHODS
from nbsp_lib.results import tuning
from nbsp_lib.results.output import DIGITS
from nbsp_lib.runs.settings import load_profile

ROOT = Path(__file__).parents[2]
TUNING = load_profile(ROOT / tuning.PROFILE)
REPORTS = {
    name: load_profile(ROOT / path)
    for name, path in (
        ("shipped", "params.yaml"),
        ("laptop", "profiles/laptop/params.yaml"),
        ("paper", "profiles/paper/params.yaml"),
        ("retention", "profiles/retention/params.yaml"),
    )
}


@pytest.mark.parametrize("name", REPORTS)
def test_seeds_of_tuning_are_in_no_report(name):
    assert TUNING.seeds == (1000, 1001, 1002, 1003, 1004) and not {*TUNING.seeds} & {*REPORTS[name].seeds}
    for shipped in (ROOT / "data").glob("*/*/*/run.json"):
        assert max(json.loads(shipped.read_text())["seeds"]) < min(TUNING.seeds), shipped


@pytest.mark.parametrize("sequence", TUNING.grid.sequences)
def test_a_stage_is_trained_as_its_reports_are(sequence):
    """cartpole as in whole cycles, window-once as in runs of one switch."""
    report = REPORTS["laptop" if sequence == "cartpole" else "retention"]
    assert TUNING.training(sequence) == report.training(sequence)
    assert TUNING.grid.sequences in (("cartpole",), ("cartpole", "window-once"))


NOTHING_TO_TUNE = {"sac", "crelu", "pi"}  # no setting of degree: one layout, one injection per switch


def test_every_method_has_the_same_budget_and_the_settings_of_the_reports():
    """Four values of one setting, the published or default value among them."""
    assert set(TUNING.grid.train) == set(TUNING.grid.arms) == set(TUNING.arms)
    counts = Counter(arm.method for arm in TUNING.arms.values())
    assert set(counts) == set(METHODS) - NOTHING_TO_TUNE and set(counts.values()) == {4}
    for method in counts:
        tried = [tuning.decisive(TUNING, name) for name, arm in TUNING.arms.items() if arm.method == method]
        told = [
            re.sub("^0(?=.)", "0.", name.removeprefix(f"{method}-{tried[0][0].replace('_', '-')}-"))
            for name, arm in TUNING.arms.items()
            if arm.method == method
        ]  # 005 is 0.05
        assert [float(text) for text in told] == [value for _, value, _ in tried]
        assert len({setting for setting, _, _ in tried}) == 1 and len({value for _, value, _ in tried}) == 4
        assert tried[0][2] in {value for _, value, _ in tried}, (
            f"{method}: the default {tried[0][2]} is not among the values"
        )


def test_the_shipped_table_is_that_of_the_profile():
    """Every arm and seed of the first stage, then of each method the two that the first stage sent on, and nothing twice."""
    table = pd.read_csv(ROOT / tuning.TABLE)
    assert list(table.columns) == tuning.COLUMNS
    first = table[table.sequence == TUNING.grid.sequences[0]]
    planned = [(arm, seed) for arm in TUNING.grid.arms for seed in TUNING.seeds]
    assert list(first[["arm", "seed"]].itertuples(index=False, name=None)) == planned
    assert not table.duplicated(["arm", "seed", "sequence"]).any()
    assert set(table.status) <= {"ok", "diverged", "planned"}
    assert (table.ASR.notna() == (table.status == "ok")).all() and (
        table.measure.notna() == (table.status != "planned")
    ).all()
    again = tuning.tuning_table(TUNING, table)
    pd.testing.assert_frame_equal(again, table, check_dtype=False)


def test_the_measure_by_hand():
    """ASR − max(FM, 0): forgetting costs, a gain on an old task does not pay twice, a seed that diverged is −1."""
    rows = pd.DataFrame(
        {"ASR": [0.7, 0.7, None, None], "FM": [0.1, -0.2, None, None], "status": ["ok", "ok", "diverged", "planned"]}
    )
    np.testing.assert_allclose(tuning.measured(rows), [0.6, 0.7, -1.0, np.nan])


@pytest.mark.parametrize(
    "means, default, want",
    [
        ({1: 0.1, 10: 0.5, 100: 0.3, 1000: 0.2}, 1, [10, 100, 1000, 1]),  # plain order; the default is far below
        ({1: 0.1, 10: 0.5, 100: 0.48, 1000: 0.2}, 100, [100, 10, 1000, 1]),  # 0.02 is a tie: to the default
        (
            {1: 0.5, 10: 0.479, 100: 0.1, 1000: 0.1},
            10,
            [1, 10, 100, 1000],
        ),  # 0.021 is none; behind them 100 is nearer to it
        (
            {1: 0.1, 10: 0.5, 100: 0.49, 1000: 0.2},
            1000,
            [100, 10, 1000, 1],
        ),  # the default is no tie: the nearest to it is
        ({1: 0.5, 10: 0.2, 100: 0.51, 1000: 0.1}, 10, [100, 1, 10, 1000]),  # equally near: the higher mean
        ({10: 0.5, 100: 0.5}, 1000, [100, 10]),  # the second stage: two of the four
    ],
)
def test_ties_go_to_the_published_value_or_the_nearest_to_it(means, default, want):
    assert tuning.in_order(means, (1, 10, 100, 1000), default) == want


def test_the_page_by_hand(tmp_path):
    """Two methods: of one every value has ended and the better of two is chosen, of the other one run is missing."""
    line = lambda method, value, seed, sequence, measure, rank: {
        "method": method, "arm": f"{method}-weight-{value:g}", "setting": "weight", "value": value, "default": 1.0,
        "seed": seed, "sequence": sequence, "status": "planned" if measure is None else "ok" if measure > -1 else "diverged",
        "ASR": measure, "FM": 0.0, "plasticity": measure, "measure": measure, "rank": rank,
    }  # fmt: skip
    seeds, done = TUNING.seeds[:2], lambda *parts, rank: [*zip(TUNING.seeds, parts, [rank] * 2)]
    first = {1.0: done(0.5, 0.7, rank=2), 10.0: done(0.8, 0.9, rank=1), 100.0: done(0.1, -1.0, rank=3)}
    rows = [line("ewc", v, seed, "cartpole", m, rank) for v, some in first.items() for seed, m, rank in some]
    rows += [line("npc", 1.0, seed, "cartpole", m, None) for seed, m in zip(seeds, (0.4, None))]
    second = {10.0: done(0.3, 0.5, rank=1), 1.0: done(0.2, 0.2, rank=2)}
    rows += [line("ewc", v, seed, "window-once", m, rank) for v, some in second.items() for seed, m, rank in some]
    (tmp_path / "tuning.csv").write_text(pd.DataFrame(rows).to_csv(index=False))
    said = run("results/tuning", table_file=str(tmp_path / "tuning.csv"), out=str(tmp_path / "out")).data
    table = pd.read_csv(tmp_path / "out/values.csv").set_index(["sequence", "method", "value"])
    assert table.loc[("cartpole", "ewc", 10.0), ["n", "mean", "rank"]].tolist() == [2, pytest.approx(0.85), 1]
    assert table.loc[("cartpole", "ewc", 100.0), ["n", "diverged", "mean"]].tolist() == [2, 1, pytest.approx(-0.45)]
    assert table.loc[("cartpole", "npc", 1.0), "n"] == 1 and np.isnan(table.loc[("cartpole", "npc", 1.0), "rank"])
    half = 12.706205 * 0.1  # t of one degree of freedom times s / √2, s = 0.1 √2
    assert table.loc[("window-once", "ewc", 10.0), ["low", "high"]].tolist() == pytest.approx([0.4 - half, 0.4 + half])
    choices = pd.read_csv(tmp_path / "out/choices.csv").set_index("method")
    assert choices.loc["ewc", ["went on", "chosen"]].tolist() == ["10, 1", 10.0]
    assert choices.loc["npc", ["went on", "chosen"]].isna().all()
    assert said == ("1 of 2 methods have a value chosen; another than the default: ewc (weight 10, default 1).")


def written(folder, sequence, arm, R, **more):
    """Runs of all seeds of tuning with the same results R [K, M]."""
    P = len(TUNING.seeds)
    synthetic.write(folder, sequence, arm, seeds=TUNING.seeds, R=np.broadcast_to(R, (P, *np.shape(R))), **more)


def test_a_method_goes_on_with_its_best_two_once_all_four_have_ended(tmp_path, monkeypatch):
    """Made-up results on two stages: numbers by their definition, who goes on, and rows whose runs are gone."""
    monkeypatch.setitem(synthetic.SEQUENCES, "cartpole", tasks_of("cartpole"))
    made = load_profile(ROOT / tuning.PROFILE)
    grid = type(made.grid)(**{**vars(made.grid), "sequences": ("cartpole", "window-once")})
    made = type(made)(**{**vars(made), "checkpoints": str(tmp_path), "grid": grid})
    empty = pd.DataFrame(columns=tuning.COLUMNS)
    assert set(tuning.tuning_table(made, empty).sequence) == {"cartpole"}
    # of cartpole performance is the mean reward of a step, five times what synthetic is given
    at = lambda last: np.array([[0.5, 0.0], [0.4, 1.0], [0.6, 0.9], [0.6, last]]) / 5
    for arm, last in zip(TUNING.grid.arms[:3], (0.2, 0.6, 1.0), strict=True):  # nbsp with k = 2, 4, 10
        written(tmp_path, "cartpole", arm, at(last))
    rows = tuning.tuning_table(made, empty)
    nbsp = rows[rows.method == "nbsp"]
    assert set(rows.sequence) == {"cartpole"} and nbsp["rank"].isna().all() and list(nbsp.value[::5]) == [2, 4, 10, 20]
    assert nbsp.ASR.iloc[0] == pytest.approx(0.4) and nbsp.ASR.iloc[10] == pytest.approx(0.8)
    assert nbsp.FM.iloc[0] == pytest.approx(round(((0.5 - 0.4) + (1.0 - 0.9) + (0.6 - 0.6)) / 3, DIGITS))
    assert nbsp.measure.iloc[0] == pytest.approx(0.4 - round(0.2 / 3, DIGITS))
    np.testing.assert_array_equal(nbsp.measure, tuning.measured(nbsp.round(DIGITS)))  # that of the numbers as written
    written(tmp_path, "cartpole", TUNING.grid.arms[3], at(1.0), diverged=TUNING.seeds)
    rows = tuning.tuning_table(made, empty)
    nbsp = rows[rows.method == "nbsp"]
    assert list(nbsp[nbsp.sequence == "cartpole"]["rank"][::5]) == [3, 2, 1, 4] and nbsp.measure.iloc[15] == -1
    later = nbsp[nbsp.sequence == "window-once"]
    assert list(later.arm[::5]) == [TUNING.grid.arms[1], TUNING.grid.arms[2]] and set(later.status) == {"planned"}
    assert set(rows[rows.sequence == "window-once"].method) == {"nbsp"}
    for arm, old in zip(TUNING.grid.arms[1:3], (0.9, 0.5), strict=True):
        written(tmp_path, "window-once", arm, [[1.0, 0.0], [old, 1.0]])
    rows = tuning.tuning_table(made, empty)
    later = rows[rows.sequence == "window-once"]
    assert list(later["rank"][::5]) == [1, 2] and later.measure.iloc[0] == pytest.approx(0.95 - 0.1)
    arms = tuning.chosen_arms(rows, "window-once")
    assert arms["nbsp"] == TUNING.grid.arms[1] and arms["ewc"] == "ewc (choice open)" and len(arms) == 15
    default = rows.assign(default=4)  # as if what was chosen were the default
    assert tuning.chosen_arms(default, "window-once")["nbsp"] == "nbsp"
    gone = type(made)(**{**vars(made), "checkpoints": str(tmp_path / "nothing")})
    pd.testing.assert_frame_equal(tuning.tuning_table(gone, rows), rows, check_dtype=False)
