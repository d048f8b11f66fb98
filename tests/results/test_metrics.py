"""Metrics of the table R against tables done by hand and loops that spell the formulas out."""

import numpy as np
import pandas as pd
import pytest

from nbsp_lib.results import metrics
from nbsp_lib.results.metrics import R_array, asr, chaudhry_forgetting, forgetting, forward_transfer, plasticity

CYCLE = [0, 1, 0, 1]  # A B A B
TABLE = [[0.9, 0.0], [0.7, 0.2], [1.0, 0.1], [0.4, 0.6]]
TABLE_METRICS = [asr, plasticity, forgetting, chaudhry_forgetting]


def test_cycle_by_hand():
    R = np.array([TABLE])
    assert asr(R, CYCLE) == pytest.approx([(0.4 + 0.6) / 2])
    assert plasticity(R, CYCLE) == pytest.approx([(0.9 + 0.2 + 1.0 + 0.6) / 4])
    # (2, A) 0.9 - 0.7   (3, B) 0.2 - 0.1   (4, A) max(0.9, 0.7, 1.0) - 0.4
    assert forgetting(R, CYCLE) == pytest.approx([(0.2 + 0.1 + 0.6) / 3])
    assert chaudhry_forgetting(R, CYCLE) == pytest.approx([1.0 - 0.4])


def test_four_tasks_by_hand():
    R = np.array(
        [
            [
                [1.0, 0.5, 0.0, 0.9],  # 0.9: transfer to the last task before its first visit
                [0.8, 1.0, 0.0, 0.0],
                [0.6, 0.7, 1.0, 0.0],
                [0.4, 0.4, 0.9, 1.0],
            ]
        ]
    )
    order = [0, 1, 2, 3]
    assert asr(R, order) == pytest.approx([2.7 / 4])
    assert plasticity(R, order) == pytest.approx([1.0])
    assert forgetting(R, order) == pytest.approx([(0.2 + 0.4 + 0.3 + 0.6 + 0.6 + 0.1) / 6])
    assert chaudhry_forgetting(R, order) == pytest.approx([(0.6 + 0.6 + 0.1) / 3])
    # the whole cycle twice, second time perfect: 6 pairs as above, then 12 of which none loses
    twice = np.concatenate([R, np.ones((1, 4, 4))], axis=1)
    assert forgetting(twice, order * 2) == pytest.approx([2.2 / 18])


def test_maximum_starts_at_the_first_visit():
    # B is better by luck after A (0.8) than after B itself (0.3), and is 0.3 after A again
    R, order = np.array([[[1.0, 0.8], [1.0, 0.3], [1.0, 0.3]]]), [0, 1, 0]
    assert forgetting(R, order) == pytest.approx([0.0])
    assert chaudhry_forgetting(R, order) == pytest.approx([0.5])  # as published: every l < K
    R[0, 0, 1] = np.nan  # so it needs no value there
    assert forgetting(R, order) == pytest.approx([0.0])


def test_negative_forgetting_is_kept():
    assert forgetting([[[0.2, 0.0], [0.7, 1.0]]], [0, 1]) == pytest.approx([-0.5])


def loop_forgetting(R, order):
    result = []
    for table in R:
        total, pairs = 0.0, 0
        for i in range(2, len(order) + 1):  # positions from 1, as in the formula
            for task in range(len(table[0])):
                visits = [l for l in range(1, len(order) + 1) if order[l - 1] == task]
                if task == order[i - 1] or visits[0] >= i:
                    continue
                best = -9.0
                for l in range(visits[0], i):
                    best = max(best, table[l - 1][task])
                total, pairs = total + best - table[i - 1][task], pairs + 1
        result.append(total / pairs)
    return result


def loop_chaudhry(R, order):
    result = []
    for table in R:
        drops = [max(row[m] for row in table[:-1]) - table[-1][m] for m in range(len(table[0])) if m != order[-1]]
        result.append(sum(drops) / len(drops))
    return result


@pytest.mark.parametrize("order", [CYCLE, [0, 1], [0, 1, 2, 3] * 2, [0, 0, 1, 2, 1], [2, 0, 1, 1, 0, 2, 0]])
def test_equal_to_loops(order):
    # multiples of 1/64: sums are exact, so that only the last division can round
    R = np.random.default_rng(1).integers(0, 65, size=(6, len(order), max(order) + 1)) / 64
    np.testing.assert_array_equal(forgetting(R, order), loop_forgetting(R.tolist(), order))
    np.testing.assert_array_equal(chaudhry_forgetting(R, order), loop_chaudhry(R.tolist(), order))
    np.testing.assert_array_equal(asr(R, order), [sum(t[-1]) / len(t[-1]) for t in R.tolist()])
    diagonal = [sum(row[m] for row, m in zip(t, order, strict=True)) / len(order) for t in R.tolist()]
    np.testing.assert_array_equal(plasticity(R, order), diagonal)


@pytest.mark.parametrize("metric", TABLE_METRICS)
def test_nan_stays_in_its_seed(metric):
    R = np.random.default_rng(0).random((3, 4, 2))
    whole = metric(R, CYCLE)
    R[1, 3:] = np.nan  # seed 1 has not finished the last position
    broken = metric(R, CYCLE)
    assert np.isnan(broken[1])
    np.testing.assert_array_equal(broken[[0, 2]], whole[[0, 2]])


@pytest.mark.parametrize("metric", TABLE_METRICS)
@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((4, 2), CYCLE),
        ((0, 4, 2), CYCLE),
        ((1, 4, 2), [0, 1, 0]),
        ((1, 4, 2), [0, 0, 0, 0]),
        ((1, 4, 2), [0, 1, 2, 1]),
        ((1, 4, 2), [0.0, 1.0, 0.0, 1.0]),
        ((1, 4, 2), [[0, 1, 0, 1]]),
        ((1, 4, 3), CYCLE),
    ],
)
def test_wrong_tables_are_refused(metric, shape, order):
    with pytest.raises(ValueError, match=r"R must be|order must be"):
        metric(np.zeros(shape), order)


@pytest.mark.parametrize("metric", [forgetting, chaudhry_forgetting])
def test_one_task_cannot_be_forgotten(metric):
    for positions in (1, 3):
        with pytest.raises(ValueError, match="forgetting"):
            metric(np.ones((2, positions, 1)), [0] * positions)
    assert plasticity(np.ones((2, 1, 1)), [0]).tolist() == asr(np.ones((2, 1, 1)), [0]).tolist() == [1.0, 1.0]


def rows(R, tasks, seeds):
    names = list(dict.fromkeys(tasks))
    return pd.DataFrame(
        [
            {
                "seed": s,
                "position": k + 1,
                "training_task": tasks[k],
                "task": name,
                "status": "ok",
                "success": R[p][k][m],
                "success_last": R[p][k][m] / 2,
                "return": 100.0,
            }
            for p, s in enumerate(seeds)
            for k in range(len(tasks))
            for m, name in enumerate(names)
        ]
    )


def test_R_array():
    tasks, R = ("open", "close") * 2, np.random.default_rng(0).random((3, 4, 2))
    frame = rows(R, tasks, seeds=[0, 1, 7])
    table, order = R_array(frame.sample(frac=1, random_state=0), [7, 0], tasks)  # order of rows: no matter
    np.testing.assert_array_equal(table, R[[2, 0]])
    assert order.tolist() == CYCLE
    np.testing.assert_array_equal(R_array(frame, [1], tasks, "success_last")[0], R[[1]] / 2)
    late = frame[~((frame.seed == 1) & (frame.position > 2))].copy()
    late.loc[(late.seed == 7) & (late.position == 4), "status"] = "diverged"
    table, _ = R_array(late, [0, 1, 7, 9], tasks)
    expected = np.concatenate([R, np.full((1, 4, 2), np.nan)])
    expected[1, 2:] = expected[2, 3] = np.nan
    np.testing.assert_array_equal(table, expected)
    assert np.isnan(asr(table, order)).tolist() == [False, True, True, True]


def test_R_array_refuses():
    tasks = ("open", "close") * 2
    frame = rows(np.zeros((1, 4, 2)), tasks, [0])
    for change in ({"task": "opne"}, {"position": 5}, {"position": 0}, {"training_task": "close"}, {"status": "done"}):
        wrong = frame.copy()
        wrong.loc[0, list(change)] = list(change.values())
        with pytest.raises(ValueError, match=r"R\.csv"):
            R_array(wrong, [0], tasks)
    with pytest.raises(ValueError, match="twice"):
        R_array(pd.concat([frame, frame[:1]]), [0], tasks)
    for wrong, seeds, names in (
        (frame.drop(columns="status"), [0], tasks),
        (frame, [], tasks),
        (frame, [0, 0], tasks),
        (frame, [0], ()),
    ):
        with pytest.raises(ValueError, match="need columns"):
            R_array(wrong, seeds, names)


def test_forward_transfer_by_hand():
    steps = [0, 50, 200]  # uneven: weights 1/4 and 3/4
    curves = [[[0.0, 0.4, 1.0], [0.0, 0.0, 0.0]]]  # AUC 0.2 / 4 + 0.7 * 3 / 4 = 0.575 and 0
    reference = [[0.0, 0.0, 0.8], [0.0, 0.4, 0.4]]  # AUC 0.4 * 3 / 4 = 0.3 and 0.2 / 4 + 0.4 * 3 / 4 = 0.35
    expected = ((0.575 - 0.3) / 0.7 + (0 - 0.35) / 0.65) / 2
    assert forward_transfer(steps, curves, reference) == pytest.approx([expected])
    assert forward_transfer(steps, curves, [reference]) == pytest.approx([expected])  # paired by seed
    assert forward_transfer(np.array(steps) * 9, curves, reference) == pytest.approx([expected])  # no unit of steps


def test_forward_transfer_bounds_and_edges():
    steps, curves = np.linspace(0, 100, 21), np.random.default_rng(0).random((3, 2, 21))
    assert forward_transfer(steps, curves, curves) == pytest.approx([0, 0, 0])
    assert forward_transfer(steps, np.ones((3, 2, 21)), curves) == pytest.approx([1, 1, 1])
    perfect = curves.copy()
    perfect[1, 0] = 1.0  # seed 1's reference leaves nothing to gain on one task
    assert np.isnan(forward_transfer(steps, curves, perfect)).tolist() == [False, True, False]
    hole = curves.copy()
    hole[2, 1, 5] = np.nan
    assert np.isnan(forward_transfer(steps, hole, curves)).tolist() == [False, False, True]
    assert np.isnan(forward_transfer(steps, curves, hole[2])).all()  # a shared reference is every seed's


@pytest.mark.parametrize(
    ("steps", "curves", "reference"),
    [
        ([5, 10], (1, 1, 2), (1, 2)),
        ([0], (1, 1, 1), (1, 1)),
        ([0, 9, 9], (1, 1, 3), (1, 3)),
        ([0, 1], (1, 2), (1, 2)),
        ([0, 1], (1, 1, 3), (1, 3)),
        ([0, 1], (2, 1, 2), (3, 1, 2)),
        ([0, 1], (2, 1, 2), (2, 2)),
    ],
)
def test_forward_transfer_refuses_shapes(steps, curves, reference):
    with pytest.raises(ValueError, match=r"steps must|need curves"):
        forward_transfer(steps, np.zeros(curves), np.zeros(reference))


def test_forward_transfer_refuses_percentages():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        forward_transfer([0, 1], [[[0, 90]]], [[0, 0.5]])


def test_relative_retention_by_hand():
    """A B A B. Seed 0: A after 2: 0.2 of 1, B after 3: 0.4 of 0.8, A after 4: 0.5 of 1. Seed 1 never learns B (0.4), whose
    pair is out. Seed 2 learns nothing: no pair. Seed 3 has not finished."""
    R = np.array(
        [
            [[1, 0], [0.2, 0.8], [1, 0.4], [0.5, 0.8]],
            [[0.5, 0], [0.6, 0.4], [0.5, 0.0], [0.3, 0.4]],
            [[0.4, 0], [0.4, 0.4], [0.4, 0.4], [0.4, 0.4]],
            [[1, 0], [1, 1], [1, 1], [np.nan, np.nan]],
        ]
    )
    value, pairs = metrics.relative_retention(R, np.array([0, 1, 0, 1]))
    assert pairs.tolist() == [3, 2, 0, 0]
    assert (
        value[:2].tolist() == pytest.approx([(0.2 + 0.5 + 0.5) / 3, (0.6 / 0.5 + 0.3 / 0.6) / 2])
        and np.isnan(value[2:]).all()
    )
    assert metrics.pairs_of([0, 1, 2, 0]) == [(1, 0), (2, 0), (2, 1), (3, 1), (3, 2)]


def test_the_spread_of_forward_transfer_is_its_slope():
    """A small change of one reference seed moves forward_transfer as much as its part says, bounded or not."""
    steps, rng = np.array([0.0, 0.5, 1.0]), np.random.default_rng(0)
    curves, alone = rng.uniform(0.2, 0.8, (4, 2, 3)), [rng.uniform(0.2, 0.6, (3, 3)), rng.uniform(0.2, 0.6, (5, 3))]
    mean = lambda references, bounded: metrics.forward_transfer(
        steps, curves, np.stack([x.mean(0) for x in references]), bounded
    ).mean()
    for bounded in (True, False):
        own = metrics.area(steps, curves).mean(0)
        parts = metrics.transfer_spread(own, [metrics.area(steps, x) for x in alone], bounded)
        assert all(abs(x.mean()) < 1e-12 for _, x in parts) and [len(x) for _, x in parts] == [3, 5]
        for i, (slope, x) in enumerate(parts):
            moved = [alone[j] + (1e-6 if j == i else 0) * (np.arange(len(alone[j])) == 0)[:, None] for j in range(2)]
            assert (mean(moved, bounded) - mean(alone, bounded)) / 1e-6 == pytest.approx(slope / len(x), rel=1e-3)
