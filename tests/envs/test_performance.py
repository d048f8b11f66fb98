"""What tables call performance, on each benchmark; forward transfer without an upper bound; filters and their maps by hand."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from nbsp_lib.envs.performance import NORMALISED, SHARE, SUCCESS, performance, performed, unit
from nbsp_lib.results import figures, filters, metrics
from nbsp_lib.results.study import trained_profile
from nbsp_lib.runs import progress
from nbsp_lib.training.games import GameRollout


def test_performance_by_hand():
    """Success as it is; boxing: random 0.1, human 12.1; the mean reward of a step."""
    assert [unit(task) for task in ("window-open", "boxing", "cartpole-balance")] == [SUCCESS, NORMALISED, SHARE]
    assert performance("window-open", 0.4, 900.0, 200) == 0.4
    assert performance("boxing", float("nan"), 6.1, 250) == pytest.approx(0.5)
    assert performance("cartpole-balance", float("nan"), 125.0, 250) == 0.5
    frame = pd.DataFrame(
        {"task": ["boxing", "road-runner"], "return": [12.1, 11.5], "success": np.nan, "success_last": np.nan}
    )
    assert (
        performed(frame, 250).success.tolist()
        == performed(frame, 250).success_last.tolist()
        == pytest.approx([1.0, 0.0])
    )
    window = pd.DataFrame({"task": ["window-open"], "return": [3.0], "success": [0.2], "success_last": [0.1]})
    assert performed(window, 200) is window


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [("boxing", float("nan"), 6.1), ("road-runner", float("nan"), 11.5)],
            "boxing 0.50 road-runner 0.00 return 12",
        ),
        (
            [("cartpole-balance", float("nan"), 125.0), ("cartpole-swingup", float("nan"), 50.0)],
            "cartpole-balance 0.50 cartpole-swingup 0.20 return 50",
        ),
        ([("window-open", 0.4, 900.0), ("window-close", 0.2, 300.0)], "window-open 0.40 window-close 0.20 return 300"),
        ([("boxing", float("nan"), 12.1), ("adventure", float("nan"), -1.0)], "boxing 1.00 adventure -1.00 return -1"),
    ],
)
def test_whoever_watches_sees_the_performance_and_the_file_is_json(tmp_path, rows, said):
    """The second task is in training. There are no published scores of Adventure."""
    rows = [
        {"task": task, "training_task": rows[1][0], "success": success, "return": gained}
        for task, success, gained in rows
    ]
    trainer = SimpleNamespace(
        budgets=[8, 8],
        position=1,
        round=0,
        tasks=[row["task"] for row in rows],
        tables={"curves": [rows]},
        agent=SimpleNamespace(updates=[0]),
        train=SimpleNamespace(episode=250),
    )
    with progress.Bar(trainer, [SimpleNamespace(folder=tmp_path)], 2, "pair seed 0") as bar:
        bar(trainer)
    report = json.loads(
        (tmp_path / "progress.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON")
    )
    assert progress.line(report) == f"pair seed 0: 8 of 16 rounds, {said}, 0 updates/s, 0 min left"


def test_forward_transfer_without_a_bound_is_the_difference_of_areas():
    steps, curves, alone = [0, 1, 2], np.array([[[0.0, 2.0, 4.0]]]), np.array([[0.0, 1.0, 2.0]])
    assert metrics.forward_transfer(steps, curves, alone, bounded=False).tolist() == [2.0 - 1.0]
    with pytest.raises(ValueError, match="must lie in"):
        metrics.forward_transfer(steps, curves, alone)


def run(sequence, tasks, profile="laptop", batch=1):
    return SimpleNamespace(
        run={"profile": profile, "config": {"train": {"batch": batch}, "tasks": tasks}},
        arm="x",
        folder=SimpleNamespace(parent=SimpleNamespace(name=sequence)),
    )


def test_settings_may_differ_between_benchmarks_and_not_within_one():
    games, window = run("boxing", ["boxing"], batch=2), run("window", ["window-open"])
    assert trained_profile([games, window]) == "laptop"
    for other in (run("drawer", ["drawer-open"], batch=3), run("boxing", ["boxing"], "paper", batch=2)):
        with pytest.raises(ValueError, match="not mixed"):
            trained_profile([games, window, other])


def test_a_figure_of_returns_has_no_bounds():
    table = pd.DataFrame(
        {
            "arm": ["a", "b"],
            "seed": 0,
            "position": 1,
            "training_task": "boxing",
            "step": [0, 1],
            "total_step": [0, 1],
            "task": "boxing",
            "success": [0.0, 3.0],
        }
    )
    draw = lambda name: figures.learning_curves(table, ["a", "b"], ["boxing"], "t", unit=name).axes[0]
    free, bound = draw(NORMALISED), draw(SUCCESS)
    assert bound.get_ylim() == (-0.05, 1.05) and free.get_ylim()[1] > 3
    R = {"a": np.array([[[10.0, 0.1], [5.0, 0.2]]])}
    drawn = figures.r_matrix(R, ["a"], ["boxing", "road-runner"], [0, 1], "t", NORMALISED).axes[0]
    shades = drawn.collections[0].get_array().ravel().tolist()
    assert shades == [1.0, 0.5, 0.5, 1.0]  # each task beside its own best
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["a, 1 of 1 seeds"]
    assert [text.get_text() for text in drawn.texts[:4]] == ["10.00", "0.10", "5.00", "0.20"]


def test_filters_are_scored_by_whole_games():
    """Four moments of two games, 3 and 1 points; filter 0 fires more in the better one, filter 1 never, a dense unit always."""
    conv = torch.tensor([[2.0, 0.0], [3.0, 0.0], [0.0, 0.0], [0.5, 0.0]])[None, None]
    dense = torch.ones(1, 1, 4, 1)
    hidden = {"actor": [conv, conv, conv, dense], "critic": [conv, conv, conv, dense]}
    played = GameRollout(torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0, 2.0]]), hidden, torch.tensor([[0, 0, 1, 1]]))
    rows = filters.filter_rows(played, 3 / 7)
    assert rows.layer.tolist() == [1, 1, 2, 2, 3, 3] and rows.score.tolist() == [1.0, 0.5] * 3
    assert rows.chosen.tolist() == [True, False] * 3
    best = filters.picked(rows, 2)
    assert best.neuron.tolist() == [0] * 6  # silent ones are not shown
    assert best.by.tolist() == ["paper", "balanced"] * 3 and best.layer.tolist() == [1, 1, 2, 2, 3, 3]
    two = filters.picked(rows.assign(mean_activation=1.0, balanced=[0.5, 0.9] * 3))
    assert two.neuron.tolist() == [0, 1] * 3  # each score has its own best
    made = filters.summary(rows)
    assert (
        made.chosen.tolist() == [1, 1, 1]
        and made.silent.tolist() == [1, 1, 1]
        and made["base rate"].tolist() == [0.5] * 3
    )
    pictures, maps = np.zeros((2, 84, 84), np.uint8), [np.random.rand(2, 2, s, s) for s in (20, 9, 7)]
    drawn = filters.overlay(filters.picked(rows, 1), pictures, maps, (0, 5), "t")
    shown = drawn.axes[2].images[1].get_array()
    assert len(drawn.axes) == 7 * 2 and shown.shape == (84, 84) and 0 <= shown.min() and shown.max() <= 1
