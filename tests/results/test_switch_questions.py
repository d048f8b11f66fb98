"""The page of questions E1 to E7: which arms answer which question, the numbers by hand, and arms that have no run yet."""

import math

import pandas as pd
import pytest
from test_result_notebooks import run
from test_retention import OLD, made_up

from nbsp_lib.results import retention, switch_questions
from nbsp_lib.results.questions import QUESTIONS
from nbsp_lib.runs.settings import load_profile


def test_every_question_is_there_and_every_planned_arm_answers_one():
    groups = {group.name: group for group in switch_questions.groups()}
    assert list(groups) == [f"E{number}" for number in range(1, 8)]
    for question in QUESTIONS:
        assert {arm for pair in question.pairs for arm in pair} <= {*groups[question.name].arms}
        assert question.about in groups[question.name].about
    asked = {arm for group in groups.values() for arm in group.arms}
    planned = {*load_profile("profiles/retention/params.yaml").grid.train}
    assert asked <= planned and planned - asked == {"er"}  # er: the rival of E5's er-10, at its published dose
    assert {"freeze-random-50", "freeze-100", "protect-active", "quiet"} <= {*groups["E3"].arms}


def test_the_table_by_hand(tmp_path):
    """nbsp on the old task: 0.9, 0.5, 0.7, so 0.7 with Student's interval, cut at 1; the new task is 0.8 in every seed."""
    rows = retention.seed_rows(made_up(tmp_path))
    group = switch_questions.groups()[0]
    table = switch_questions.arm_table(rows, group).set_index("arm")
    half = 4.302653 * 0.2 / math.sqrt(3)
    assert table.loc["nbsp", ["old", "old_low", "old_high"]].tolist() == pytest.approx([0.7, 0.7 - half, 1.0], abs=1e-6)
    assert table.loc["nbsp", ["n", "new", "new_low", "new_high"]].tolist() == pytest.approx([3, 0.8, 0.8, 0.8])
    assert table.n["nbsp-balanced"] == 0 and table.loc["nbsp-balanced"].isna().sum() == 6
    said = switch_questions.sentence(group, table.reset_index())
    assert "4 of 5 arms" in said and "nbsp keeps most, 0.70 [0.20, 1.00]" in said and "not run: nbsp-balanced." in said
    one = switch_questions.arm_table(rows[rows.seed == 0], group).set_index("arm")
    assert switch_questions.cell(one.loc["nbsp"], "old") == "0.90 [one seed]"


def test_the_page_shows_what_there_is(tmp_path):
    made_up(tmp_path, unfinished="nbsp")
    said = run("results/switch_questions", folder=str(tmp_path / "window-once"), out=str(tmp_path / "out")).data
    table = pd.read_csv(tmp_path / "out/switch_questions.csv")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "switch_questions.csv",
        *(f"switch_E{number}.{kind}" for number in range(1, 8) for kind in ("png", "svg")),
    }
    assert len(said.splitlines()) == 7 and "**E4** (C4: actor or critic): 1 of 3 arms" in said
    counts = table.set_index(["question", "arm"]).n
    assert counts["E1", "nbsp"] == 2 and counts["E1", "mask-only"] == 3 and counts["E3", "quiet"] == 0


def test_a_point_for_every_seed(tmp_path):
    rows = retention.seed_rows(made_up(tmp_path))
    table = switch_questions.arm_table(rows, switch_questions.groups()[0])
    figure = switch_questions.arms_figure(rows, table, ("old", "new"), "title")
    for ax, measure in zip(figure.axes, switch_questions.MEASURES, strict=True):
        drawn = sorted(
            tuple(point)
            for points in ax.collections
            for point in points.get_offsets()
            if len(points.get_offsets()) == 3
        )
        arms = list(table.arm)
        assert drawn == sorted((row[measure], arms.index(row["arm"])) for _, row in rows.iterrows()) and len(
            drawn
        ) == 3 * len(OLD)
        assert [text.get_text() for text in ax.texts] == ["not run"]
