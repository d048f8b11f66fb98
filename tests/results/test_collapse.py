"""Collapsed seeds on cartpole: counts of a made-up R, Fisher's p of 2x2 tables by hand."""

from math import comb

import numpy as np
import pandas as pd
import pytest
import synthetic
from test_results import profile_at

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.results import collapse
from nbsp_lib.results.output import markdown
from nbsp_lib.results.study import read_study


def by_hand(a, n, b, m):
    """Two-sided p: of all tables with these margins the probability of those that are at most as likely (hypergeometric)."""
    chance = lambda x: comb(n, x) * comb(m, a + b - x) / comb(n + m, a + b)
    possible = range(max(0, a + b - m), min(n, a + b) + 1)
    return sum(chance(x) for x in possible if chance(x) <= chance(a) * (1 + 1e-9))


def test_fisher_by_hand():
    assert collapse.fisher(3, 3, 0, 3) == pytest.approx(2 / 20)  # 1 of C(6, 3) = 20 tables, and its mirror image
    for table in ((2, 3, 0, 3), (12, 20, 4, 20), (0, 20, 7, 20), (5, 5, 5, 5), (1, 10, 4, 18)):
        assert collapse.fisher(*table) == pytest.approx(by_hand(*table))


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Swing-up after positions 2 and 3. fine-tuning: lost, never had, kept, diverged after position 3 began; nbsp: all kept."""
    monkeypatch.setitem(synthetic.SEQUENCES, "cartpole", tasks_of("cartpole"))
    after = {"fine-tuning": [(0.9, 0.1), (0.4, 0.2), (0.8, 0.3), (0.8, 0.0)], "nbsp": [(0.9, 0.9)] * 4}
    for arm, values in after.items():
        R = np.array([[[0.9, 0.1], [0.9, second], [0.9, third], [0.9, 0.9]] for second, third in values])
        write = {
            "R": R,
            "seeds": (0, 1, 2, 3),
            "train": {"episode": 100},
        }  # the return is 100 · R, performance its share
        synthetic.write(
            tmp_path,
            "cartpole",
            arm,
            **write,
            **({"finished": {3: 3}, "diverged": (3,)} if arm == "fine-tuning" else {}),
        )
    return read_study(profile_at(tmp_path, seeds=(0, 1, 2, 3)), "cartpole")


def test_counts_by_hand(study):
    assert collapse.asked(study)
    table = collapse.collapse_table(collapse.collapse_rows(study), study.arms).set_index("arm")
    # 0.3 is not below 0.3; a diverged one is out
    assert table.loc["fine-tuning", ["n", "collapsed", "never"]].tolist() == [3, 2, 1]
    assert table.loc["nbsp", ["n", "collapsed", "never"]].tolist() == [4, 0, 0]
    assert (
        table.loc["nbsp", "p_fine-tuning"] == table.loc["fine-tuning", "p_nbsp"] == pytest.approx(by_hand(2, 3, 0, 4))
    )
    assert np.isnan(table.loc["nbsp", "p_nbsp"]) and table.loc["nbsp", "differs_fine-tuning"] == "no"
    assert table.loc["nbsp", "high"] == pytest.approx(1 - 0.025**0.25)  # Clopper-Pearson of 0 of 4
    assert "2 of 3" in markdown(collapse.collapse_wide(table.reset_index()))


def test_the_level_is_shared_among_the_arms_compared():
    """0 of 20 against 7 of 20: p = 0.0083, below 0.05 / 2 with two arms to compare and not below 0.05 / 9 with nine."""
    seeds = lambda arm, lost: pd.DataFrame(
        {"arm": arm, "seed": range(20), "collapsed": [i < lost for i in range(20)], "learned": True}
    )
    arms = ["fine-tuning", "nbsp", *(f"x{i}" for i in range(8))]
    for others, said in ((1, "yes"), (8, "no")):
        rows = pd.concat([seeds("fine-tuning", 7), seeds("nbsp", 0), *(seeds(f"x{i}", 7) for i in range(others))])
        assert collapse.collapse_table(rows, arms).set_index("arm").loc["nbsp", "differs_fine-tuning"] == said


def test_only_where_swing_up_comes_before_position_three(tmp_path):
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1))
    assert not collapse.asked(read_study(profile_at(tmp_path), "window"))
