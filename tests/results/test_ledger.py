"""The ledger from folders of runs, and the paper's numbers beside ours."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from test_result_notebooks import run

from nbsp_lib.results import claims, evidence, ledger, questions, tuned, verdicts
from nbsp_lib.results.study import Study, read_result

# [P = 2, K = 4, M = 2]: by hand ASR, FM, plasticity of the four positions
R = {
    "nbsp": np.array([[[0.9, 0.0], [0.8, 0.9], [1.0, 0.7], [0.8, 1.0]]] * 2),
    "replay-only": np.array([[[0.9, 0.0], [0.5, 0.9], [1.0, 0.4], [0.5, 1.0]]] * 2),
}
ASR = {"nbsp": 0.9, "replay-only": 0.75}
FM = {"nbsp": (0.1 + 0.2 + 0.2) / 3, "replay-only": (0.4 + 0.5 + 0.5) / 3}


@pytest.fixture
def study(tmp_path):
    folders = [synthetic.write(tmp_path, "window", arm, seeds=(0, 1), R=table) for arm, table in R.items()]
    read = {arm: read_result(folder, "window", arm) for arm, folder in zip(R, folders, strict=True)}
    return Study("window", synthetic.SEQUENCES["window"], (*R, "mask-only"), (0, 1), read, {}, "smoke", None)


def test_numbers_from_folders(study):
    numbers, speeds, scores = ledger.gather([study])
    whole = numbers[numbers.whole].set_index(["arm", "seed"])
    for arm in R:
        assert whole.loc[(arm, 1), ["asr", "fm"]].tolist() == pytest.approx([ASR[arm], FM[arm]])
    assert list(numbers.positions.unique()) == [2, 3, 4]
    assert set(scores.arm) == {"nbsp"}
    assert speeds.empty


def test_verdict_from_folders(study):
    """Two seeds, one of two pairs run, both differences clear: partly, and only an indication."""
    lines, comparisons = claims.ledger(*ledger.gather([study]))
    c3 = lines.set_index("claim").loc["C3"]
    assert (c3.verdict, c3.seeds, c3.holding, c3.compared, c3.missing) == ("partly (indicative)", 2, 2, 2, 2)
    told = comparisons[comparisons.outcome != "missing"].set_index("measure")
    assert told["mean"].to_dict() == pytest.approx({"asr": 0.15, "fm": 0.3}, abs=1e-6)


def test_speeds(tmp_path):
    """As recorded now, as recorded before there was mode and population, and of a seed that changed its machine."""
    old = {"seconds": 1.0, "updates_per_s": 70.5, "hardware": "a cpu"}
    timing = {
        "3": old | {"mode": "compiled", "population": 2},
        "4": old,
        "5": old | {"hardware": None, "mode": "eager", "population": 2},
    }
    (tmp_path / "timing.json").write_text(json.dumps(timing))
    assert ledger.read_speeds(tmp_path).values.tolist() == [
        [3, 70.5, "a cpu", "compiled", 2],
        [4, 70.5, "a cpu", "", 0],
    ]


def test_speeds_are_taken_only_where_they_are_recorded_ones(study):
    """A run made here is timed anew at every repetition, and the bytes of its ledger must not depend on that."""
    timing = {str(seed): {"seconds": 1.0, "updates_per_s": 70.0, "hardware": "a cpu"} for seed in (0, 1)}
    for arm in R:
        (study.results[arm].folder / "timing.json").write_text(json.dumps(timing))
    assert len(ledger.gather([study])[1]) == 4
    speeds = ledger.gather([study], timed=False)[1]
    assert speeds.empty
    row = claims.ledger(*ledger.gather([study], timed=False))[0].set_index("claim").loc["C7"]
    assert row.verdict == "not run"


@pytest.mark.parametrize(("profile", "said"), [("smoke", True), ("shipped", False)])
def test_the_notebook_says_that_timings_are_judged_on_shipped_runs(tmp_path, profile, said):
    text = Path("profiles/smoke/params.yaml").read_text(encoding="utf-8")
    text = text.replace("profile: smoke", f"profile: {profile}").replace(
        "runs/smoke/checkpoints", f"{tmp_path}/checkpoints"
    )
    text = text.replace("sequences: [drawer]", "sequences: [window]").replace("root: ../..", f"root: {Path.cwd()}")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    for arm, speed in (("fine-tuning", 100.0), ("nbsp", 80.0)):
        folder = synthetic.write(tmp_path / "checkpoints", "window", arm, seeds=(0, 1))
        timing = {str(seed): {"seconds": 1.0, "updates_per_s": speed, "hardware": "a cpu"} for seed in (0, 1)}
        (folder / "timing.json").write_text(json.dumps(timing))
    run("results/claims", params_file=str(tmp_path / "params.yaml"), out=str(tmp_path / "out"))
    assert (ledger.UNTIMED in (tmp_path / "out/claims.md").read_text(encoding="utf-8")) == said
    verdict = pd.read_csv(tmp_path / "out/claims.csv").set_index("claim").before["C7"]
    assert verdict == ("not run" if said else "partly (indicative)")


def both(study):
    """(lines, comparisons) of both rules side by side, without timings and benchmarks."""
    numbers, speeds, scores = ledger.gather([study])
    now = verdicts.ledger(evidence.gather([study]), ([], []), scores)
    return ledger.side_by_side(claims.ledger(numbers, speeds, scores), now)


def test_verdicts_of_both_rules_stand_side_by_side(study):
    """Two seeds without spread: old and new agree; a conjunct had none before, and is not run where its rival is missing."""
    lines, comparisons = both(study)
    found = lines.set_index("claim")[["before", "verdict"]]
    assert found.loc["C3"].tolist() == ["partly (indicative)", "not run"]
    assert found.loc["C3a"].tolist() == ["", "partly (indicative)"] and found.loc["C3b"].tolist() == ["", "not run"]
    run = comparisons[comparisons.outcome != "missing"]
    assert (run["mean"] == run.mean_before).all() and len(run) == 2 and (run.outcome_before == "yes").all()


def test_page_names_what_is_missing(study):
    lines, comparisons = both(study)
    arms = {"nbsp": "nbsp (choice open)", "ewc": "ewc-weight-1"}
    tuned_text = tuned.told(tuned.tuned_rows(evidence.gather([study]), arms))
    one_switch = questions.question_table(pd.DataFrame(), {})
    text = ledger.page(lines, comparisons, tuned_text, one_switch, pd.DataFrame(), ["a footnote"], "smoke")
    assert f"| {ledger.BEFORE} | {ledger.NOW} |" in text
    assert "| C3 | masking and replay are both needed | partly (indicative) | not run |" in text
    assert "| C3a | the mask is needed beside replay |  | partly (indicative) |" in text
    assert "- C3: no comparison of nbsp with mask-only." in text
    assert "`nbsp (choice open)` against tuned rivals: **not run**. Not run: fine-tuning, ewc-weight-1, npc, " in text
    assert "- a footnote" in text
    assert "profile smoke" in text


def test_paper_numbers_keep_their_row_without_ours():
    columns = ["table", "sequence", "arm", "metric", "value", "source"]
    paper = pd.DataFrame([["1", "window", arm, "ASR", 0.0, "p. 0"] for arm in ("nbsp", "ewc")], columns=columns)
    ours = pd.DataFrame([["window", "nbsp", "ASR", 0.5, 3]], columns=["sequence", "arm", "metric", "ours", "seeds"])
    both = ledger.beside(paper, ours)
    assert both.arm.tolist() == ["nbsp", "ewc"]
    assert both.ours.iloc[0] == 0.5
    assert np.isnan(both.ours.iloc[1])
    assert ledger.beside(paper.iloc[:0], ours).empty
