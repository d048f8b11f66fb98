"""Reading results and putting tables together: hand-made R, missing arms, mixed profiles, damaged files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic

from nbsp_lib.results import tables
from nbsp_lib.results.notes import accounting, footnotes, reached
from nbsp_lib.results.output import markdown, write_csv
from nbsp_lib.results.study import COLUMNS, common_positions, open_study, read_alone, read_study
from nbsp_lib.runs.settings import load_profile
from nbsp_lib.runs.state import Corrupted

# R [seed, position, task] of A -> B -> A -> B, tasks (window-open, window-close), by hand:
#   seed 0: ASR (0.4 + 0.8) / 2 = 0.6; plasticity (1 + 0.8 + 1 + 0.8) / 4 = 0.9
#           FM pairs (i, task): (2, open) 1 - 0.2, (3, close) 0.8 - 0.4, (4, open) 1 - 0.4 -> mean(0.8, 0.4, 0.6) = 0.6
#           Chaudhry at the end, tasks other than the last: open 1 - 0.4 = 0.6
#   seed 1: everything 1 once learned: ASR 1, plasticity 1, FM 0, Chaudhry 0
HAND = np.array([[[1, 0], [0.2, 0.8], [1, 0.4], [0.4, 0.8]], [[1, 0], [1, 1], [1, 1], [1, 1]]])
EXPECTED = {"ASR": (0.6, 1.0), "FM": (0.6, 0.0), "plasticity": (0.9, 1.0), "Chaudhry FM": (0.6, 0.0)}


def profile_at(folder, arms=("fine-tuning", "nbsp", "replay-only"), seeds=(0, 1)):
    """The smoke profile with its results in another folder."""
    smoke = load_profile("profiles/smoke/params.yaml")
    return replace(smoke, checkpoints=str(folder), seeds=seeds, grid=replace(smoke.grid, arms=arms))


def test_the_table_has_the_numbers_of_a_hand_made_R(tmp_path):
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), R=HAND)
    study = read_study(profile_at(tmp_path), "window")
    values = tables.per_seed(study)
    table = tables.main_table(study, values, repeats=50).set_index(["arm", "metric"])
    for metric, numbers in EXPECTED.items():
        here = values[(values.arm == "nbsp") & (values.metric == metric)].set_index("seed").value
        assert here.tolist() == pytest.approx(numbers)
        assert table.loc[("nbsp", metric), "mean"] == pytest.approx(np.mean(numbers))
        assert tuple(table.loc[("nbsp", metric), ["k", "n", "indicative"]]) == (2, 2, True)
    last = tables.per_seed(study, "success_last").query("metric == 'ASR'").value
    assert last.tolist() == pytest.approx([0.54, 0.9])  # the generator writes 0.9 of success
    two = tables.per_seed(study, positions=2)
    assert two.query("metric == 'FM' and seed == 0").value.item() == pytest.approx(0.8)


def test_forward_transfer_by_hand(tmp_path):
    # Curves rise from 0 to the R value until 80 % of the steps, then stay: area 0.6 R. Alone both tasks reach 0.5: area 0.3.
    # First visits of seed 0: open 1 -> 0.6, close 0.8 -> 0.48; transfer (0.3 / 0.7 + 0.18 / 0.7) / 2.
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0,), R=HAND[:1])
    for task in ("window-open", "window-close"):
        synthetic.write(tmp_path, task, "fine-tuning", seeds=(0, 1), R=np.full((2, 1, 1), 0.5))
    study = read_study(profile_at(tmp_path, seeds=(0,)), "window")
    assert tables.transfer(study, "nbsp") == pytest.approx([0.24 / 0.7])


def test_the_interval_of_forward_transfer_holds_the_seeds_of_the_reference(tmp_path):
    """Seeds of nbsp alike, of the reference not: close alone reaches 0.4 and 0.6, area 0.24 and 0.36, slope −(1 − a) / (1 −
    0.3)²."""
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), R=np.repeat(HAND[:1], 2, axis=0))
    synthetic.write(tmp_path, "window-open", "fine-tuning", seeds=(0, 1), R=np.full((2, 1, 1), 0.5))
    synthetic.write(tmp_path, "window-close", "fine-tuning", seeds=(0, 1), R=np.array([[[0.4]], [[0.6]]]))
    study = read_study(profile_at(tmp_path), "window")
    table = tables.main_table(study, tables.per_seed(study), repeats=20).set_index(["arm", "metric"])
    own = 0.48  # area of close under nbsp: 0.6 · 0.8
    half = 12.7062 * (1 - own) / 0.49 * 0.06  # t_1; the mean of two areas varies by 0.06
    second = table.loc[("nbsp", tables.SECOND)]
    assert second["mean"] == pytest.approx(0.18 / 0.7) and second.low == pytest.approx(0.18 / 0.7 - half, rel=1e-4)
    assert second.high == 1  # it cannot be more
    both = table.loc[("nbsp", tables.TRANSFER)]
    assert both["mean"] == pytest.approx(0.24 / 0.7) and both.low == pytest.approx(0.24 / 0.7 - half / 2, rel=1e-4)
    pairs = table.loc[("nbsp", tables.RETENTION)]
    assert (pairs.pairs, pairs.of_pairs, pairs["mean"]) == (6, 6, pytest.approx((0.2 + 0.5 + 0.4) / 3))
    assert tables.wide(table.reset_index()).set_index("arm").loc["nbsp", "pairs"] == "6 of 6"


def test_position_one_of_fine_tuning_stands_in_for_its_task_alone(tmp_path):
    synthetic.write(tmp_path, "window", "fine-tuning", seeds=(0, 1), R=HAND)
    profile = profile_at(tmp_path)
    profile = replace(profile, grid=replace(profile.grid, sequences=("window",)))
    alone = read_alone(profile, "window-open")
    assert set(alone.curves.position) == {1} and alone.finished(0) == 1
    assert read_alone(profile, "window-close") is None  # no sequence begins with it
    gate = tables.gate({task: read_alone(profile, task) for task in ("window-open", "window-close")})
    assert gate.value.dropna().tolist() == [1, 1] and gate.source.tolist() == ["window", "window", ""]
    assert gate.status.tolist() == ["ok", "ok", "not run"]


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([3, 3], "3 of 3 seeds"),
        ([3, 3, 3, 0], "3 of 3 seeds, 3 of 4 positions"),
        ([0, 0], "0 of 3 seeds"),
        ([3, 2, 2, 0], "3/2/2/0 of 3 seeds after position 1/…/4"),
        ([2, 2], "2 of 3 seeds"),
    ],
)
def test_how_far_the_seeds_got(counts, text):
    assert reached(counts, 3) == text


def test_missing_arms_and_seeds_show(tmp_path):
    synthetic.write(tmp_path, "window", "fine-tuning", seeds=(0, 1), finished={1: 2}, unscored=[(0, 1)])
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), diverged=(1,))
    study = read_study(profile_at(tmp_path, seeds=(0, 1, 2)), "window")
    counts = accounting(study).set_index("arm")
    assert counts.k.to_dict() == {"fine-tuning": 1, "nbsp": 1, "replay-only": 0} and set(counts.n) == {3}
    cut_short = {"fine-tuning": "2/2/1/1", "nbsp": "2/2/2/1"}
    assert counts.reached.to_dict() == {
        arm: f"{seeds} of 3 seeds after position 1/…/4" for arm, seeds in cut_short.items()
    } | {"replay-only": "missing: no run here"}
    assert study.missing == ["replay-only"]
    notes = " ".join(footnotes(study))
    for part in ("replay-only: missing", "1 (2 of 4)", "2 (0 of 4)", "nbsp: diverged seeds: 1", "seed 0 position 1"):
        assert part in notes
    table = tables.wide(tables.main_table(study, tables.per_seed(study), repeats=20)).set_index("arm")
    assert table.seeds.tolist() == ["1 of 3", "1 of 3", "0 of 3"] and table.loc["replay-only", "ASR"] == "–"
    assert "[one seed]" in table.loc["nbsp", "ASR"]
    assert table.loc["replay-only", "pairs"] == "–" and table.loc["nbsp", "pairs"].endswith(" of 3")
    assert common_positions(study) == 4
    assert "replay-only" in markdown(table.reset_index(), notes.split(". "))


def test_an_arm_that_is_told_the_task_is_named(tmp_path):
    synthetic.write(tmp_path, "window", "fine-tuning", seeds=(0,), method="packnet")
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0,))
    notes = footnotes(read_study(profile_at(tmp_path, seeds=(0,)), "window"))
    said = "fine-tuning: told which task is played also when evaluated; no other arm is."
    assert [note for note in notes if "told" in note] == [said]


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ("aa", None),
        ("ab", "aaaaaaaa fine-tuning seed 0 1, nbsp seed 0; bbbbbbbb nbsp seed 1."),
        ("bb", "aaaaaaaa fine-tuning seed 0 1; bbbbbbbb nbsp seed 0 1."),
    ],
)
def test_seeds_trained_by_different_code_are_named(tmp_path, seeds, said):
    """The older run.json of fine-tuning has one hash for all its seeds; the second method has a hash of its own anyway."""
    known = {
        "fine-tuning": {"code_hash": "a" * 16},
        "replay-only": {"code_hash": "c" * 16},
        "nbsp": {"code_hash": seeds[0] * 16, "code": {str(seed): code * 16 for seed, code in enumerate(seeds)}},
    }
    for arm, entries in known.items():
        method = "sac" if arm == "replay-only" else "nbsp"
        path = synthetic.write(tmp_path, "window", arm, seeds=(0, 1), method=method) / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    notes = [note for note in footnotes(read_study(profile_at(tmp_path), "window")) if "versions" in note]
    assert [note.split(": ")[-1] for note in notes] == ([said] if said else []) and all(
        "Method nbsp" in note for note in notes
    )


def test_all_metrics_of_an_arm_rest_on_the_same_seeds(tmp_path):
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), finished={1: 2})
    for task in ("window-open", "window-close"):
        synthetic.write(tmp_path, task, "fine-tuning", seeds=(0,))
    values = tables.per_seed(read_study(profile_at(tmp_path), "window"))
    assert values[values.seed == 1].value.isna().all() and values[values.seed == 0].value.notna().all()


def test_nothing_there_is_a_table_of_gaps(tmp_path):
    study = read_study(profile_at(tmp_path), "window")
    table = tables.main_table(study, tables.per_seed(study), repeats=20)
    assert table["mean"].isna().all() and set(table.k) == {0} and common_positions(study) == 0
    assert list(study.table("curves").columns) == COLUMNS["curves"] and study.trained == "none"


@pytest.mark.parametrize("change", [{"profile": "laptop"}, {"train": {"steps": 999}}])
def test_two_trainings_are_not_mixed(tmp_path, change):
    synthetic.write(tmp_path, "window", "nbsp")
    synthetic.write(tmp_path, "window", "fine-tuning", **change)
    with pytest.raises(ValueError, match=r"not mixed.*window/fine-tuning.*window/nbsp"):
        read_study(profile_at(tmp_path), "window")


def test_a_reference_of_another_profile_is_refused_too(tmp_path):
    synthetic.write(tmp_path, "window", "nbsp")
    synthetic.write(tmp_path, "window-close", "fine-tuning", profile="paper")
    with pytest.raises(ValueError, match="paper: window-close/fine-tuning"):
        read_study(profile_at(tmp_path), "window")


def test_a_changed_file_is_refused_by_name(tmp_path):
    folder = synthetic.write(tmp_path, "window", "nbsp")
    (folder / "R.csv").write_text((folder / "R.csv").read_text().replace("ok", "OK"))
    with pytest.raises(Corrupted, match=r"R\.csv"):
        read_study(profile_at(tmp_path), "window")


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_csv_is_byte_equal_and_reads_back(tmp_path, name):
    frame = pd.DataFrame({"arm": ["nbsp"], "value": [1 / 3]})
    one, two = (write_csv(frame, tmp_path / folder / name) for folder in "ab")
    assert one.read_bytes() == two.read_bytes()
    assert pd.read_csv(one).value.item() == 0.333333


def test_no_number_is_a_negative_zero(tmp_path):
    frame = pd.DataFrame({"arm": ["nbsp"] * 3, "value": [-1e-9, -0.004, -0.1], "n": [1, 2, 3]})
    written = write_csv(frame, tmp_path / "a.csv").read_text().split()
    assert written == ["arm,value,n", "nbsp,0.0,1", "nbsp,-0.004,2", "nbsp,-0.1,3"]
    assert [line.split(" | ")[1] for line in markdown(frame).splitlines()[2:]] == ["0.00", "0.00", "-0.10"]
    assert frame.value[0] == -1e-9  # the frame itself stays as it was


def test_ends_of_positions_are_the_last_evaluations_with_critics_averaged():
    row = lambda position, step, network, dormant: {
        "sequence": "window",
        "arm": "nbsp",
        "seed": 0,
        "position": position,
        "training_task": "t",
        "step": step,
        "total_step": 9,
        "network": network,
        "dormant": dormant,
    }
    rows = pd.DataFrame(
        [
            row(1, 5, "actor", 0.9),
            row(1, 10, "actor", 0.1),
            row(1, 10, "critic0", 0.2),
            row(1, 10, "critic1", 0.4),
            row(2, 10, "actor", 0.3),
            row(2, 10, "critic0", 0.5),
            row(2, 10, "critic1", 0.7),
        ]
    )
    ends = tables.position_ends(rows)
    assert ends[["position", "network"]].values.tolist() == [[1, "actor"], [1, "critics"], [2, "actor"], [2, "critics"]]
    assert ends.dormant.tolist() == pytest.approx([0.1, 0.3, 0.3, 0.6])


def test_a_page_opens_its_study_from_anywhere_in_the_repository(monkeypatch):
    """The profile's grid is what the study asks for; the root becomes the current folder."""
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root / "docs")
    study = open_study("params.yaml", "window", ("nbsp", "slow"))
    assert Path.cwd() == root and study.profile == load_profile("params.yaml")
    assert study.arms == ("nbsp", "slow") and study.seeds[:3] == study.profile.seeds and "nbsp" in study.results
