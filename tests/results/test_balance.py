"""What every arm keeps, learns and how fast: steps counted by hand, and what the figure shows of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import synthetic
from test_results import profile_at

from nbsp_lib.results import balance, tables
from nbsp_lib.results.study import read_study


@pytest.fixture
def study(tmp_path):
    """Budgets of 1000 steps, four positions; fine-tuning masters every later position in both seeds, nbsp hardly any."""
    later = {(0, 1): 100, (0, 2): 200, (0, 3): 300, (0, 4): 400}
    synthetic.write(
        tmp_path,
        "window",
        "fine-tuning",
        seeds=(0, 1),
        mastered=later | {(1, 2): 600, (1, 3): 600, (1, 4): 600},
    )
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), mastered={(0, 1): 100, (1, 3): 400})
    return read_study(profile_at(tmp_path), "window")


def test_steps_are_a_mean_over_later_positions_where_a_missed_one_counts_its_budget(study):
    rows = balance.seed_steps(study).set_index(["arm", "seed"])
    assert rows.steps.to_dict() == {
        ("fine-tuning", 0): 300,
        ("fine-tuning", 1): 600,
        ("nbsp", 0): 1000,
        ("nbsp", 1): 800,
    }
    assert rows.late.tolist() == [0, 0, 3, 2] and set(rows.most) == {1000}
    means = balance.steps_table(rows.reset_index()).set_index("arm")
    half = 12.706205 * np.std([300, 600], ddof=1) / math.sqrt(2)  # Student's t of one degree of freedom
    assert means["mean"].tolist() == [450, 900] and means.late.tolist() == [0, 2]
    assert half > 450 and means.low["fine-tuning"] == 0 and means.high.tolist() == [1000, 1000]  # cut to what can be
    assert means.indicative.all()


def test_the_arm_that_keeps_most_stands_above_and_bounds_are_filled_points(study):
    values = tables.per_seed(study)
    table = tables.main_table(study, values, 10)
    steps = balance.seed_steps(study)
    figure = balance.balance_figure(values, table, steps, balance.steps_table(steps), study.arms, "title")
    kept = table[table.metric == tables.RETENTION].set_index("arm")["mean"]
    names = [label.get_text().split()[0] for label in figure.axes[0].get_yticklabels()]
    present = [name for name in names if not math.isnan(kept[name])]
    assert present == sorted(present, key=lambda arm: -kept[arm]) and len(figure.axes) == 3
    points = [points for points in figure.axes[2].collections if len(points.get_offsets())]
    shown = {float(x): face[3] for each in points for (x, _), face in zip(each.get_offsets(), each.get_facecolor())}
    assert shown == {300: 0, 600: 0, 800: 1, 1000: 1}  # opaque where a position was not mastered


def test_a_seed_that_is_not_through_has_no_steps(tmp_path):
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), finished={0: 4, 1: 3}, mastered={(0, 2): 100})
    assert balance.seed_steps(read_study(profile_at(tmp_path), "window")).seed.tolist() == [0]
