"""The page about one switch: differences paired by seed against formulas by hand; made-up runs; the shipped ones."""
import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from test_result_notebooks import run

from nbsp_lib.results import retention
from nbsp_lib.runs.settings import load_profile

SHIPPED = "data/retention/window-once"
OLD = {"nbsp": (0.9, 0.5, 0.7), "replay-only": (0.6, 0.6, 0.5), "mask-only": (0.1, 0.2, 0.1), "fine-tuning": (0.0, 0.1, 0.0)}


def made_up(folder, unfinished=None):
    """Four arms with three seeds: R[1, old] = 1, R[2, old] of OLD, R[2, new] = 0.8; success is a straight line to R."""
    for arm, old in OLD.items():
        R = np.array([[[1.0, 0.0], [value, 0.8]] for value in old])                          # [P, K, M]
        finished = {2: 1} if arm == unfinished else None
        synthetic.write(folder, "window-once", arm, R=R, finished=finished, mastered={(0, 1): 400}, profile="retention")
    return retention.read(folder / "window-once", "window-once", list(OLD))


def test_t_quantiles_are_those_of_the_tables():
    """Two-sided 95 % and 99 % points as printed in any table of Student's t."""
    for df, point in {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 30: 2.042}.items():
        assert retention.t_quantile(df) == pytest.approx(point, abs=5e-4)
    assert retention.t_quantile(4, 0.99) == pytest.approx(4.604, abs=5e-4)


def test_interval_and_sign_flip_by_hand():
    """d = 1, 2, 3, 4, 5: mean 3, s = √2.5, t_4 = 2.776. All of one sign: only all plus and all minus are as far, 2 of 32."""
    half = 2.776445 * math.sqrt(2.5 / 5)
    assert retention.t_interval([1, 2, 3, 4, 5]) == pytest.approx((3, 3 - half, 3 + half), abs=1e-5)
    assert retention.sign_flip([1, 2, 3, 4, 5]) == 2 / 32
    d = (0.3, -0.1, 0.2)
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in itertools.product((1, -1), repeat=3)]
    assert retention.sign_flip(d) == sum(value > 0.4 - 1e-9 for value in sums) / 8 == 4 / 8
    assert retention.sign_flip([0, 0]) == 1 and math.isnan(retention.sign_flip([]))
    assert retention.t_interval([0.5])[0] == 0.5 and math.isnan(retention.t_interval([0.5])[1])


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
    flat = synthetic.TRAIN["steps"] * 0.2                           # the made-up line reaches R at 0.8 of the position
    assert rows[rows.arm == "nbsp"].old_through.tolist() == pytest.approx(
        [((1 + r) / 2 * 0.8 * 1000 + r * flat) / 1000 for r in OLD["nbsp"]])
    assert rows.steps_to_mastery.notna().sum() == 4 and (rows.steps_to_mastery.dropna() == 400).all()


def test_only_seeds_that_both_arms_finished_are_paired(tmp_path):
    read = made_up(tmp_path, unfinished="replay-only")
    table = retention.pair_table(retention.seed_rows(read), read).set_index(["arm", "against", "measure"]).sort_index()
    assert table.n.loc["nbsp", "replay-only"].tolist() == [2] * 4 and table.n.loc["nbsp", "mask-only"].tolist() == [3] * 4
    row = table.loc["nbsp", "replay-only", "old"]
    assert row["mean"] == pytest.approx(0.1) and row.low < -1       # t_1 = 12.7: two seeds say nearly nothing


def test_another_network_or_curve_before_the_switch_is_seen(tmp_path):
    read = made_up(tmp_path)
    assert all(retention.same_start(read, seed, list(OLD)) for seed in (0, 1, 2))
    read["nbsp"].run["files"]["position1.seed1.safetensors"] = "0" * 64
    curves = read["mask-only"].curves
    curves.loc[(curves.seed == 2) & (curves.position == 1), "return"] += 1
    assert [retention.same_start(read, seed, list(OLD)) for seed in (0, 1, 2)] == [True, False, False]
    assert retention.same_start(read, 1, ("replay-only", "mask-only"))


def test_sentences_say_what_the_interval_says():
    row = {"arm": "a", "against": "b", "n": 5, "more": 5, "fewer": 0, "mean": 0.5, "low": 0.1, "high": 0.9, "p": 0.0625}
    say = lambda **other: retention.sentence(pd.Series(row | other), "x")
    assert "5 of 5 seeds, less in 0" in say() and "above 0" in say() and "p = 0.0625" in say()
    assert "do not tell the two apart" in say(low=-0.1) and "below 0" in say(mean=-0.5, low=-0.9, high=-0.1)
    assert "no spread" in say(n=1) and "no seed" in say(n=0)


def test_the_shipped_runs_start_alike_and_are_whole():
    """Four arms, seeds 0 to 4, both positions; every arm of a seed leaves position 1 with the same bytes."""
    read = retention.read(SHIPPED, "window-once", load_profile("profiles/retention/params.yaml").grid.train)
    assert {arm: retention.done(result) for arm, result in read.items()} == {arm: [0, 1, 2, 3, 4] for arm in OLD}
    assert all(retention.same_start(read, seed, list(read)) for seed in range(5))
    assert {path.name for path in Path(SHIPPED).iterdir()} == set(OLD)


def test_the_page_says_what_its_tables_say(tmp_path):
    said = run("results/retention", out=str(tmp_path)).data
    pairs = pd.read_csv(tmp_path / "retention_pairs.csv")
    assert {path.name for path in tmp_path.iterdir()} == {f"retention{end}" for end in (".csv", "_pairs.csv", ".png", ".svg")}
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
