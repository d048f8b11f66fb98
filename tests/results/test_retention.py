"""The page about one switch: differences paired by seed against formulas by hand; made-up runs; the shipped ones."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats
from test_result_notebooks import run

from nbsp_lib.results import questions, retention
from nbsp_lib.runs.settings import load_profile

SHIPPED = "data/retention/window-once"
OLD = {
    "nbsp": (0.9, 0.5, 0.7),
    "replay-only": (0.6, 0.6, 0.5),
    "mask-only": (0.1, 0.2, 0.1),
    "fine-tuning": (0.0, 0.1, 0.0),
}


def made_up(folder, unfinished=None):
    """Four arms with three seeds: R[1, old] = 1, R[2, old] of OLD, R[2, new] = 0.8; success is a straight line to R."""
    for arm, old in OLD.items():
        R = np.array([[[1.0, 0.0], [value, 0.8]] for value in old])  # [P, K, M]
        finished = {2: 1} if arm == unfinished else None
        synthetic.write(folder, "window-once", arm, R=R, finished=finished, mastered={(0, 1): 400}, profile="retention")
    return retention.read(folder / "window-once", list(OLD))


def test_pairs_by_hand(tmp_path):
    """nbsp − replay-only on the old task: 0.3, −0.1, 0.2. Through position 2 a straight line from 1: half of it, so d / 2."""
    read = made_up(tmp_path)
    rows = retention.seed_rows(read)
    table = retention.pair_table(rows, read).set_index(["arm", "against", "measure"])
    row = table.loc["nbsp", "replay-only", "old"]
    half = 4.302653 * np.std([0.3, -0.1, 0.2], ddof=1) / math.sqrt(3)
    assert (row.n, row.same, row.more, row.fewer) == (3, 3, 2, 1)
    assert (row["mean"], row.low, row.high, row.p) == pytest.approx((0.4 / 3, 0.4 / 3 - half, 0.4 / 3 + half, 0.5))
    assert row.p_least == 0.25
    new = table.loc["nbsp", "replay-only", "new"]
    assert (new.more, new.fewer, new["mean"], new.p) == (0, 0, 0, 1)
    assert table.loc["nbsp", "replay-only", "asr"]["mean"] == pytest.approx(0.2 / 3)
    flat = synthetic.TRAIN["steps"] * 0.2  # the made-up line reaches R at 0.8 of the position
    assert rows[rows.arm == "nbsp"].old_through.tolist() == pytest.approx(
        [((1 + r) / 2 * 0.8 * 1000 + r * flat) / 1000 for r in OLD["nbsp"]]
    )
    assert rows.steps_to_mastery.notna().sum() == 4 and (rows.steps_to_mastery.dropna() == 400).all()


def test_only_seeds_that_both_arms_finished_are_paired(tmp_path):
    read = made_up(tmp_path, unfinished="replay-only")
    table = retention.pair_table(retention.seed_rows(read), read).set_index(["arm", "against", "measure"]).sort_index()
    assert (
        table.n.loc["nbsp", "replay-only"].tolist() == [2] * 4 and table.n.loc["nbsp", "mask-only"].tolist() == [3] * 4
    )
    row = table.loc["nbsp", "replay-only", "old"]
    assert row["mean"] == pytest.approx(0.1) and row.low < -1  # t_1 = 12.7: two seeds say nearly nothing


def test_another_network_or_curve_before_the_switch_is_seen(tmp_path):
    read = made_up(tmp_path)
    assert all(retention.same_start(read, seed, list(OLD)) for seed in (0, 1, 2))
    read["nbsp"].run["files"]["position1.seed1.safetensors"] = "0" * 64
    curves = read["mask-only"].curves
    curves.loc[(curves.seed == 2) & (curves.position == 1), "return"] += 1
    assert [retention.same_start(read, seed, list(OLD)) for seed in (0, 1, 2)] == [True, False, False]
    assert retention.same_start(read, 1, ("replay-only", "mask-only"))


def test_arms_that_start_apart_are_two_samples(tmp_path):
    """nbsp 0.9, 0.5, 0.7 and replay-only 0.6, 0.6, 0.5: Welch's interval of the means, and no p of pairs."""
    read = made_up(tmp_path)
    read["nbsp"].run["files"]["position1.seed1.safetensors"] = "0" * 64
    rows = retention.seed_rows(read)
    row = (
        retention.pair_table(rows, read)
        .query("arm == 'nbsp' and against == 'replay-only' and measure == 'old'")
        .iloc[0]
    )
    theirs = stats.ttest_ind(OLD["nbsp"], OLD["replay-only"], equal_var=False).confidence_interval(0.95)
    assert (row.low, row.high) == pytest.approx((theirs.low, theirs.high)) and math.isnan(row.p) and row.same == 2
    assert "not paired" in retention.sentence(row, "x")
    line = (
        questions.question_table(rows, read)
        .query("arm == 'nbsp' and against == 'replay-only' and measure == 'old'")
        .iloc[0]
    )
    assert line.paired == "two samples" and (line.low, line.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_questions_by_hand(tmp_path):
    """nbsp − mask-only on the old task: 0.8, 0.3, 0.6; the new task is learned alike, so it is no void; three seeds are not
    yes by t."""
    read = made_up(tmp_path)
    table = questions.question_table(retention.seed_rows(read), read)
    line = table[(table.arm == "nbsp") & (table.against == "mask-only") & (table.measure == "old")].iloc[0]
    half = 4.302653 * np.std([0.8, 0.3, 0.6], ddof=1) / math.sqrt(3)
    assert (line["mean"], line.low, line.high) == pytest.approx((1.7 / 3, 1.7 / 3 - half, 1.7 / 3 + half), abs=1e-6)
    assert (line.outcome, line.n, line.seeds, line.paired) == ("leaning", 3, "0–9", "paired")
    assert set(table.question) == {"E1"} and set(table.seeds) == {"0–9"}  # no seed of 5 to 9, no other arm
    rows = retention.seed_rows(read)
    later = rows.assign(seed=rows.seed + 5)
    for result in read.values():
        result.run["files"] |= {f"position1.seed{seed + 5}.safetensors": f"{seed}" for seed in range(3)}
    table = questions.question_table(pd.concat([rows, later]), read)
    assert set(table[table.seeds == "5–9"].question) == {"E1", "E5"}
    unseen = table.query("seeds == '5–9' and measure == 'old' and question == 'E1'")
    assert unseen.set_index(["arm", "against"]).loc[("nbsp", "mask-only"), ["n", "mean"]].tolist() == pytest.approx(
        [3, 1.7 / 3], abs=1e-6
    )


def test_an_arm_that_does_not_learn_the_new_task_answers_nothing(tmp_path):
    read = made_up(tmp_path)
    rows = retention.seed_rows(read)
    rows.loc[rows.arm == "mask-only", "new"] = 0.3  # below half of 0.8
    table = (
        questions.question_table(rows, read)
        .query("measure == 'old' and question == 'E1'")
        .set_index(["arm", "against"])
    )
    assert table.outcome["nbsp", "mask-only"] == "void" and table.outcome["mask-only", "fine-tuning"] == "no"


def test_questions_are_about_planned_arms():
    planned = set(load_profile("profiles/retention/params.yaml").grid.train)
    assert {arm for question in questions.QUESTIONS for pair in question.pairs for arm in pair} <= planned


def test_sentences_say_what_the_interval_says():
    row = {"arm": "a", "against": "b", "n": 5, "more": 5, "fewer": 0, "mean": 0.5, "low": 0.1, "high": 0.9, "p": 0.0625}
    say = lambda **other: retention.sentence(pd.Series(row | other), "x")
    assert "5 of 5 seeds, less in 0" in say() and "above 0" in say() and "p = 0.0625" in say()
    assert "do not tell the two apart" in say(low=-0.1) and "below 0" in say(mean=-0.5, low=-0.9, high=-0.1)
    assert "no spread" in say(n=1) and "no seed" in say(n=0)


def test_the_shipped_runs_start_alike_and_are_whole():
    """Both positions, no seed shipped in part; every arm of a seed leaves position 1 with the same bytes."""
    read = retention.read(SHIPPED, load_profile("profiles/retention/params.yaml").grid.train)
    done = {arm: retention.done(result) for arm, result in read.items()}
    assert set(OLD) <= set(done) == {path.name for path in Path(SHIPPED).iterdir()}
    assert all(done[arm] == result.run["seeds"] for arm, result in read.items())
    for seed in sorted(set().union(*done.values())):
        assert retention.same_start(read, seed, [arm for arm in read if seed in done[arm]])


def test_the_page_says_what_its_tables_say(tmp_path):
    said = run("results/retention", out=str(tmp_path)).data
    pairs = pd.read_csv(tmp_path / "retention_pairs.csv")
    assert {path.name for path in tmp_path.iterdir()} == {
        f"retention{end}" for end in (".csv", "_pairs.csv", "_questions.csv", ".png", ".svg")
    }
    assert len(said.splitlines()) == len(pairs) == 12 and (pairs.same == pairs.n).all()
    R = pd.concat(pd.read_csv(path).assign(arm=path.parent.name) for path in Path(SHIPPED).glob("*/R.csv"))
    old = R.query("position == 2 and task == 'window-open'").pivot(index="seed", columns="arm", values="success")
    for pair in pairs[pairs.measure == "old"].itertuples():
        d = old[pair.arm] - old[pair.against]
        assert pair.mean == pytest.approx(d.mean(), abs=1e-6)
        assert f"than **{pair.against}** in {(d > 0).sum()} of {len(d)} seeds" in said


def test_the_page_on_incomplete_runs(tmp_path):
    made_up(tmp_path, unfinished="nbsp")
    said = run("results/retention", folder=str(tmp_path / "window-once"), out=str(tmp_path / "out")).data
    assert "**nbsp** has more success on window-open at the end than **replay-only** in 1 of 2 seeds" in said


def test_the_page_of_another_pair_answers_what_was_asked_of_it_from_all_seeds(tmp_path):
    made_up(tmp_path)
    run("results/retention", folder=str(tmp_path / "window-once"), arms=" ".join(OLD), out=str(tmp_path / "out"))
    answers = pd.read_csv(tmp_path / "out" / "retention_questions.csv")
    assert set(answers.question) == {"E1"} and set(answers.seeds) == {"0–9"}
    assert answers.n.tolist() == [3] * 8  # four pairs of these arms, the old task and both
