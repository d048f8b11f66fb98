"""What the rules of 2026-11-27 look at, from folders of made-up runs and from records of benchmarks."""

import json

import numpy as np
import pytest
import synthetic
from test_results import profile_at

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.results import evidence
from nbsp_lib.results.study import read_study


def test_benchmarks_that_count(tmp_path):
    """One process, one seed, on a CPU, no --quick; of it the rows of nbsp."""
    record = {
        "benchmark": "methods",
        "command": "python -m benchmarks.methods",
        "quick": False,
        "device": "cpu",
        "processes": 1,
        "tables": [{"rows": [{"arm": "fine-tuning", "neutral": 1.0}, {"arm": "nbsp", "neutral": 1.03}]}],
    }
    scoring = record | {"benchmark": "scoring", "tables": [{"rows": [{"arm": "nbsp", "share": 0.004}]}]}
    others = [
        record | change
        for change in ({"quick": True}, {"device": "cuda"}, {"processes": 2}, {"command": "x --population 3"})
    ]
    (tmp_path / "results.json").write_text(json.dumps([record, scoring, *others, record]))
    updates, ends = evidence.benchmarked(tmp_path / "results.json")
    assert updates == pytest.approx([0.03, 0.03]) and ends == [0.004]


def test_numbers_from_folders(tmp_path):
    """Position 1 alike in seed 0 only: seed 1 of the second arm learned something else."""
    R = np.array([[[0.9, 0.0], [0.8, 0.4], [1.0, 0.7], [0.8, 1.0]]] * 2)
    other = R.copy()
    other[1, 0, 0] = 0.7
    for arm, table in (("nbsp", R), ("replay-only", R), ("fine-tuning", other)):
        synthetic.write(tmp_path, "window", arm, seeds=(0, 1), R=table, settings={"replay_every": 5})
    table = evidence.gather([read_study(profile_at(tmp_path), "window")])
    one = table[(table.arm == "nbsp") & (table.positions == 3) & (table.seed == 0)].iloc[0]
    assert one.learned == (0.9, 0.4) and one.dose == 0.2 and not one.whole
    assert one.fm == pytest.approx((0.1 + (0.4 - 0.7)) / 2)
    start = dict(iter(table[table.positions == 2].groupby("arm")))
    assert evidence.alike(start["nbsp"], start["replay-only"]) and not evidence.alike(
        start["nbsp"], start["fine-tuning"]
    )
    first = {arm: rows[rows.seed == 0] for arm, rows in start.items()}
    assert evidence.alike(first["nbsp"], first["fine-tuning"]) and not evidence.alike(
        first["nbsp"].iloc[:0], first["fine-tuning"]
    )


@pytest.mark.parametrize(("points", "passed"), [(6.1, True), (2.9, False)])
def test_atari_is_a_share_of_the_game_alone(tmp_path, monkeypatch, points, passed):
    """boxing: random 0.1, human 12.1; alone 6.1 points are half of a human's way, so 3.1 points are a half of that, and 9.1
    are cut to 1."""
    names = tasks_of("boxing-road-runner")
    monkeypatch.setitem(synthetic.SEQUENCES, "boxing-road-runner", names)
    returns = np.array([[[points, 1569.0], [3.1, 1569.0], [9.1, 0.0], [-3.0, 3922.75]]])  # [1, K, 2]
    for arm in ("fine-tuning", "nbsp"):
        synthetic.write(tmp_path, "boxing-road-runner", arm, seeds=(0,), R=returns / 100)  # the return is 100 · R
    # about half of a human's way
    synthetic.write(tmp_path, "road-runner", "fine-tuning", seeds=(0,), R=np.array([[[39.2275]]]))
    profile = profile_at(tmp_path, seeds=(0,))
    profile = type(profile)(
        **vars(profile) | {"grid": type(profile.grid)(**vars(profile.grid) | {"sequences": ("boxing-road-runner",)})}
    )
    tables, _, found = evidence.judged(read_study(profile, "boxing-road-runner"))
    assert found == passed
    if passed:
        assert tables["nbsp"][0, :, 0].tolist() == pytest.approx([1, 0.5, 1, 0])
        assert tables["nbsp"][0, :, 1] == pytest.approx([(1569 - 11.5) / (3922.75 - 11.5)] * 2 + [0, 1])
