"""What positions took, of runs that stop at mastery and of older ones: by hand, and on made-up results of both protocols."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import synthetic
from test_results import HAND, profile_at

from nbsp_lib.envs.performance import EDITED
from nbsp_lib.results import figures, positions, reevaluate, tables
from nbsp_lib.results.notes import footnotes
from nbsp_lib.results.study import COLUMNS, read_result, read_study
from nbsp_lib.training import rollout

NAN = float("nan")


@pytest.mark.parametrize(
    ("reached", "taken", "median"),
    [
        ([30, 10, 20], [30, 10, 20], (20, False)),
        ([30, NAN, 20], [30, 90, 20], (30, False)),  # the one that did not comes last
        ([NAN, 10, NAN], [90, 10, 90], (90, True)),
        ([10, 30], [10, 30], (20, False)),
        ([10, NAN], [10, 90], (50, True)),  # a bound: the second needs more than 90
        ([100, NAN, 110, NAN], [100, 90, 110, 90], (100, True)),  # other budgets: still later than all that did
        ([NAN], [90], (90, True)),
        ([40], [40], (40, False)),
    ],
)
def test_a_median_in_which_who_did_not_master_comes_last(reached, taken, median):
    assert positions.censored_median(reached, taken) == median


def test_older_runs_get_the_columns_that_they_lack():
    """Three evaluations of 2, 4 and 4 episodes after one of 2; two positions of different budgets."""
    curves = pd.DataFrame({"seed": 0, "position": 1, "task": "a", "step": [0, 10, 20, 30], "episodes": [2, 2, 4, 4]})
    curves = pd.concat([curves, curves[1:].assign(position=2)])
    R = pd.DataFrame({"seed": 0, "position": [1, 2], "task": "a", "success": [0.5, 1.0]})
    full = positions.completed(R, curves, {"steps": [30, 60]})
    assert full.episodes.tolist() == [10, 10] and full.steps.tolist() == [30, 60] and full.steps_to_mastery.isna().all()
    mixed = full.assign(episodes=[6, None], steps=[20, None], steps_to_mastery=[20, None])
    again = positions.completed(mixed, curves, {"steps": 30})
    assert again.episodes.tolist() == [6, 10] and again.steps.tolist() == [20, 30] and again.steps_to_mastery[0] == 20


def test_both_protocols_are_read(tmp_path):
    synthetic.write(tmp_path / "old", "window", "nbsp", seeds=(0, 1), old=True)
    synthetic.write(tmp_path / "new", "window", "nbsp", seeds=(0, 1), mastered={(0, 1): 400, (1, 3): 300})
    old, new = (read_study(profile_at(tmp_path / name), "window") for name in ("old", "new"))
    assert list(old.table("R").columns) == list(new.table("R").columns) == COLUMNS["R"]
    assert set(old.table("R").steps) == {1000} and set(old.table("R").episodes) == {12}
    assert old.table("R").steps_to_mastery.isna().all()
    R = new.table("R").drop_duplicates(["seed", "position"]).set_index(["seed", "position"])
    assert R.steps.tolist() == [400, 1000, 1000, 1000, 1000, 1000, 300, 1000] and set(R.episodes) == {6}
    assert R.steps_to_mastery.dropna().to_dict() == {(0, 1): 400, (1, 3): 300}
    assert not positions.stops(old) and positions.stops(new)


def test_steps_to_mastery_stand_beside_what_was_learned(tmp_path):
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), R=HAND, mastered={(0, 1): 300, (1, 1): 500, (1, 2): 600})
    table = positions.mastery_table(read_study(profile_at(tmp_path), "window"))
    shown = positions.mastery_wide(table)
    assert shown.columns.tolist() == ["arm", "1: window-open", "2: window-close", "3: window-open", "4: window-close"]
    assert shown.values.tolist() == [
        [
            "nbsp",
            "400 (2 of 2), 1.00",
            "> 800 (1 of 2), 0.90",
            "not mastered (0 of 2), 1.00",
            "not mastered (0 of 2), 0.90",
        ]
    ]
    missing = table[table.arm == "replay-only"]
    assert missing.finished.tolist() == [0] * 4 and missing["median"].isna().all()


def test_forward_transfer_goes_on_with_the_result_after_a_stop(tmp_path):
    """Budget 1000. Curves rise straight to 0.8 of the end T and stay at R: area (0.4 T · R + 0.2 T · R + (1000 − T) R) / 1000.

    With T = 500 that is 0.8 R: open, R 1: 0.8; close, R 0.8: 0.64. Alone R 0.5: 0.3 for both seeds of open, with T = 1000, and
    0.3 and, with T = 500, 0.4 for those of close.
    """
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0,), R=HAND[:1], mastered={(0, 1): 500, (0, 2): 500})
    for task in ("window-open", "window-close"):
        stopped = {(1, 1): 500} if task == "window-close" else {}
        synthetic.write(tmp_path, task, "fine-tuning", seeds=(0, 1), R=np.full((2, 1, 1), 0.5), mastered=stopped)
    study = read_study(profile_at(tmp_path, seeds=(0,)), "window")
    assert tables.transfer(study, "nbsp") == pytest.approx([((0.8 - 0.3) / 0.7 + (0.64 - 0.35) / 0.65) / 2])


def test_after_a_stop_the_pooled_result_stands_for_the_last_evaluation(tmp_path):
    folder = synthetic.write(tmp_path, "window", "nbsp", seeds=(0,), R=HAND[:1], mastered={(0, 1): 400})
    result = read_result(folder, "window", "nbsp")
    result.R.loc[(result.R.position == 1) & (result.R.task == "window-open"), "success"] = 0.96
    steps, values = tables.first_visit(result, [0, 1], "window-open", 1, "success")
    assert steps.tolist() == [0, 100, 200, 300, 400, 1000]
    assert (
        values[0].tolist() == pytest.approx([0, 100 / 320, 200 / 320, 300 / 320, 0.96, 0.96])
        and np.isnan(values[1]).all()
    )


def test_lines_begin_together_and_end_with_their_seed(tmp_path):
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), R=HAND, mastered={(0, 1): 400, (1, 1): 600, (1, 2): 300})
    study = read_study(profile_at(tmp_path), "window")
    curves, R = study.table("curves"), study.table("R")
    places = positions.spans(curves)
    assert places.start.tolist() == [0, 600, 1600, 2600] and places.end.tolist() == [600, 1600, 2600, 3600]
    here = curves[curves.task == "window-open"]
    (first, second), mean = positions.traces(here, places, "success")
    ends = lambda line: [float(x) for x, gap in zip(line[0], np.isnan(line[0][1:])) if gap]
    assert ends(first) == [400, 1600, 2600, 3600] and ends(second) == [600, 900, 2600, 3600]
    assert ends(mean) == [400, 900, 2600, 3600]
    assert second[1][second[0] == 600].tolist() == [1.0, 1.0]  # the end of position 1 and the beginning of 2
    x, y = positions.marks(curves, R[R.task == "window-close"], places, "success")
    assert x.tolist() == [900] and y.tolist() == [1.0]
    figure = figures.learning_curves(curves, study.arms, study.names, "t", ends=R)
    marked = [dots.get_offsets().tolist() for dots in figure.get_axes()[1].collections]
    assert sorted(marked[0]) == [[400, 1], [600, 1]] and marked[1] == [[900, 1]]
    assert "until the first does" in figure._supxlabel.get_text()


def test_ticks_count_from_the_beginning_of_each_position():
    places = pd.DataFrame({"start": [0, 60_000], "end": [60_000, 160_000]})
    assert positions.ticks(places) == ([0, 60_000, 110_000], ["0", "0", "50k"])


@pytest.mark.parametrize("episodes", [6, 10, 50])
def test_any_three_evaluations_in_a_row_play_every_episode_once(episodes):
    train = {"episodes": episodes, "evaluations": 20}
    for number in range(19):
        three = [e for j in range(number, number + 3) for e in rollout.episodes_of(train, j)]
        assert sorted(three) == list(range(episodes))


def test_episodes_of_a_fixed_budget():
    train = {"episodes": 2, "final_episodes": 4, "evaluations": 10}
    assert [rollout.episodes_of(train, number) for number in (0, 7, 8, 10)] == [
        [0, 1],
        [0, 1],
        [0, 1, 2, 3],
        [0, 1, 2, 3],
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({"finished": {0: 1}, "mastered": {(0, 1): 400}}, [1, 4]),  # number 4; number 0 is at step 0
        ({"finished": {0: 2}, "mastered": {(0, 2): 300}}, [0, 3]),  # number 3; none at step 0
        ({"finished": {0: 1}}, [1, 4]),
        ({"finished": {0: 1}, "old": True}, [0, 1, 2, 3]),
    ],
)
def test_what_is_rolled_out_again_is_what_the_last_evaluation_played(tmp_path, monkeypatch, kind, expected):
    folder, asked = synthetic.write(tmp_path, "window", "nbsp", seeds=(0,), **kind), []
    play, note = reevaluate.play, lambda episodes, goals: asked.append((episodes, goals))
    monkeypatch.setattr(
        reevaluate, "play", lambda *args, **options: note(args[3], options["goals"]) or play(*args, **options)
    )
    rows = reevaluate.reroll_rows(read_result(folder, "window", "nbsp"))
    assert asked == [(len(expected), expected)] * 2 and set(rows.episodes) == {len(expected)}


@pytest.mark.parametrize("old", [True, False])
def test_pruning_inside_R_is_said(tmp_path, old):
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0,), method="packnet", old=old)
    synthetic.write(tmp_path, "window", "fine-tuning", seeds=(0,), old=old)
    notes = footnotes(read_study(profile_at(tmp_path, seeds=(0,)), "window"))
    assert [note for note in notes if EDITED in note] == [f"nbsp: {EDITED}"]
