"""Scores, choice and masks of neurons: by hand on a 4 × 3 array, by the formula as a loop, and what may not matter."""

import numpy as np
import pytest
import torch

from nbsp_lib.core import neurons
from nbsp_lib.results.neuron_tables import held_out_scores

#                        neuron 0 follows the goal, 1 opposes it, 2 is above its mean at moments 0 and 2
HIDDEN = torch.tensor([[[4.0, 0.0, 5.0], [3.0, 0.0, 1.0], [0.0, 2.0, 4.0], [0.0, 3.0, 0.0]]])  # [P=1, T=4, W=3]
GOAL = torch.tensor([[1.0, 1.0, 0.0, 0.0]])  # [P=1, T=4]


def by_loop(hidden, goal, score):
    """Eq. 1–4 for one seed, a moment and a neuron at a time, in Python's own numbers."""
    T, W = len(hidden), len(hidden[0])
    q_mean, scores = sum(goal) / T, []
    for n in range(W):
        mean = sum(hidden[t][n] for t in range(T)) / T
        hits = {True: [], False: []}
        for t in range(T):
            hits[goal[t] > q_mean].append((hidden[t][n] > mean) == (goal[t] > q_mean))
        accuracy = sum(map(sum, hits.values())) / T
        if score == "balanced":
            accuracy = sum(sum(h) / len(h) for h in hits.values()) / 2
        scores.append(accuracy if score == "accuracy" else max(accuracy, 1 - accuracy))
    return scores


def test_scores_by_hand():
    assert neurons.skill_scores(HIDDEN, GOAL).tolist() == [[1.0, 1.0, 0.5]]
    assert neurons.skill_scores(HIDDEN, GOAL, "accuracy").tolist() == [[1.0, 0.0, 0.5]]
    assert neurons.skill_scores(HIDDEN, GOAL, "balanced").tolist() == [[1.0, 1.0, 0.5]]
    # with a goal that is met once, the three hits on the others weigh 1 / 3 each in the balanced score
    rare = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert neurons.skill_scores(HIDDEN, rare).tolist() == [[0.75, 0.75, 0.75]]
    torch.testing.assert_close(
        neurons.skill_scores(HIDDEN, rare, "balanced"),
        torch.tensor([[(1 + 2 / 3) / 2, 1 - (0 + 1 / 3) / 2, (1 + 2 / 3) / 2]]),
    )


def random_case(P=3, T=50, W=7, seed=0):
    """Activations after a ReLU, whole numbers so that means are exact, and a goal met at a quarter of the moments."""
    g = torch.Generator().manual_seed(seed)
    hidden = torch.randint(-6, 10, (P, T, W), generator=g).float().relu()
    return hidden, (torch.rand(P, T, generator=g) > 0.75).float()


@pytest.mark.parametrize("score", neurons.SCORES)
def test_scores_are_the_formula_as_a_loop(score):
    hidden, goal = random_case()
    goal[2] = torch.rand(50, generator=torch.Generator().manual_seed(1))  # a reward, not a success
    want = [by_loop(h, q, score) for h, q in zip(hidden.tolist(), goal.tolist())]
    torch.testing.assert_close(neurons.skill_scores(hidden, goal, score), torch.tensor(want))
    for p in range(3):  # seeds share nothing
        alone = neurons.skill_scores(hidden[p : p + 1], goal[p : p + 1], score)
        assert torch.equal(alone[0], neurons.skill_scores(hidden, goal, score)[p])


@pytest.mark.parametrize("score", neurons.SCORES)
def test_scores_ignore_scale_and_order_of_time(score):
    hidden, goal = random_case()
    scores = neurons.skill_scores(hidden, goal, score)
    scale = 2.0 ** torch.arange(-3, 4)  # powers of two: comparisons stay exact
    assert torch.equal(neurons.skill_scores(hidden * scale, goal, score), scores)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(2))
    assert torch.equal(neurons.skill_scores(hidden[:, order], goal[:, order], score), scores)
    assert torch.equal(neurons.skill_scores(hidden, 3 * goal + 1, score), scores)


def test_the_neuron_that_never_fires_scores_the_base_rate():
    """So does one that fires always alike. "balanced" gives both 0.5, "accuracy" the share without the goal."""
    hidden, goal = random_case(T=40)
    goal[:] = 0
    goal[0, :10], goal[1, :30], goal[2, :20] = 1, 1, 1
    hidden[..., 0], hidden[..., 1] = 0.0, 2.5
    base = torch.tensor([0.75, 0.75, 0.5])
    assert torch.equal(neurons.base_rate(goal), base)
    for score in neurons.SCORES:  # of the score in use: that of an activation of zero
        assert torch.equal(
            neurons.base_rate(goal, score), neurons.skill_scores(torch.zeros(3, 40, 1), goal, score)[:, 0]
        )
    for n in (0, 1):
        assert torch.equal(neurons.skill_scores(hidden, goal)[:, n], base)
        assert neurons.skill_scores(hidden, goal, "balanced")[:, n].tolist() == [0.5] * 3
        assert neurons.skill_scores(hidden, goal, "accuracy")[:, n].tolist() == [0.75, 0.25, 0.5]
    assert neurons.silent(hidden)[:, :2].tolist() == [[True, False]] * 3


def test_a_neuron_that_fires_always_alike_scores_the_base_rate_in_any_rounding():
    """A mean rounded down makes it "active" at every moment, and 1 − Acc is then what Acc was."""
    hidden, goal = (torch.arange(1, 65) / 70).expand(1, 10_000, 64), torch.zeros(1, 10_000)
    goal[0, :2500] = 1
    assert len((hidden[0, :1] > hidden.mean(1)).unique()) == 2  # both roundings occur
    assert (neurons.skill_scores(hidden, goal) == 0.75).all()
    assert (neurons.skill_scores(hidden, goal, "balanced") == 0.5).all()


def test_scores_lie_where_they_should():
    hidden, goal = random_case(seed=3)
    assert all((neurons.skill_scores(hidden, goal, score) >= 0.5).all() for score in ("paper", "balanced"))
    accuracy = neurons.skill_scores(hidden, goal, "accuracy")
    assert torch.equal(neurons.skill_scores(hidden, goal), torch.maximum(accuracy, 1 - accuracy))
    # balanced and paper agree where goal and non-goal moments are equally many
    goal[:, :25], goal[:, 25:] = 1, 0
    torch.testing.assert_close(neurons.skill_scores(hidden, goal, "balanced"), neurons.skill_scores(hidden, goal))


def test_a_goal_that_is_not_finite_scores_nothing():
    """NaN is no constant by comparison, but nothing can be said: no score, no base rate, never among the best."""
    hidden, goal = random_case(P=4)
    goal[1], goal[2, 7], goal[3, :20] = float("nan"), float("nan"), float("inf")
    assert neurons.constant_goal(goal).tolist() == [False, True, True, True]
    with pytest.raises(ValueError, match=r"constant or not finite in the rollout of population rows \[1, 2, 3\]"):
        neurons.skill_scores(hidden, goal)
    assert neurons.base_rate(goal).isnan().tolist() == [False, True, True, True]
    held = held_out_scores(hidden[1:2], goal[1:2], hidden[:1], goal[:1])
    assert held.isnan().all() and held_out_scores(hidden[:1], goal[:1], hidden[1:2], goal[1:2]).isnan().all()
    scores = torch.tensor([[float("nan"), 0.6, 0.5, float("nan"), 0.7]])
    assert neurons.top_neurons(scores, 0.4).tolist() == [[False, True, False, False, True]]
    assert neurons.top_neurons(scores, 0.8).sum() == 4


def test_a_constant_goal_is_refused_by_row():
    hidden, goal = random_case()
    goal[0], goal[2] = 0.0, 1.0
    assert neurons.constant_goal(goal).tolist() == [True, False, True]
    with pytest.raises(ValueError, match=r"rows \[0, 2\]"):
        neurons.skill_scores(hidden, goal)
    with pytest.raises(ValueError, match="paper, balanced, accuracy"):
        neurons.skill_scores(hidden, goal, "papre")


def test_importance_by_hand():
    """Means |h · dL/dh| of 3, 0, 4 over a root mean square of sqrt(25 / 3); a layer without any stays 0."""
    hidden = torch.tensor(
        [[[[1.0, 0.0, 2.0], [2.0, 5.0, 1.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]]
    )  # [P=1, C=2, B=2, W=3]
    blame = torch.tensor([[[[-4.0, 9.0, 3.0], [1.0, 0.0, -2.0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]]])
    want = torch.tensor([[[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]]]) / (25 / 3) ** 0.5
    torch.testing.assert_close(neurons.importance(hidden, blame), want)
    # a multiple of all derivatives says nothing, however small; seeds and critics share nothing
    g = torch.Generator().manual_seed(5)
    hidden, blame = torch.randn(3, 2, 40, 7, generator=g).relu(), torch.randn(3, 2, 40, 7, generator=g)
    both = neurons.importance(hidden, blame)
    torch.testing.assert_close(neurons.importance(hidden, blame * 1e-9), both)
    torch.testing.assert_close(both.pow(2).mean(2), torch.ones(3, 2))
    for p in range(3):
        assert torch.equal(neurons.importance(hidden[p : p + 1], blame[p : p + 1])[0], both[p])
        torch.testing.assert_close(neurons.importance(hidden[:, 1:], blame[:, 1:])[p, 0], both[p, 1])


def test_incoming_norm_by_hand():
    w = torch.tensor([[[[3.0, 0.0, 1.0], [0.0, -2.0, 2.0]]]])  # [P=1, C=1, in=2, W=3]
    b = torch.tensor([[[[-4.0, 0.0, 2.0]]]])
    assert neurons.incoming_norm(w, b).tolist() == [[[5.0, 2.0, 3.0]]]


def test_top_neurons_by_hand():
    scores = torch.tensor([[0.6, 0.9, 0.6, 0.9, 0.6], [0.5, 0.5, 0.5, 0.5, 0.5]])
    chosen = lambda share: [row.nonzero().flatten().tolist() for row in neurons.top_neurons(scores, share)]
    assert chosen(0.2) == [[1], [0]]  # ties go to the lower index
    assert chosen(0.4) == [[1, 3], [0, 1]]
    assert chosen(0.79) == [[0, 1, 3], [0, 1, 2]]  # floor(3.95)
    assert chosen(0.0) == chosen(0.19) == [[], []]
    assert chosen(1.0) == [list(range(5))] * 2


@pytest.mark.parametrize("W", [10, 30, 64, 100, 512])
def test_the_count_is_the_floor_of_the_share_as_it_is_written(W):
    assert int(0.29 * 100) == 28  # what must not happen
    for percent in range(101):
        assert (neurons.top_neurons(torch.rand(2, W), percent / 100).sum(1) == percent * W // 100).all()


def test_top_neurons_are_those_of_a_stable_sort():
    scores = torch.randint(0, 6, (4, 200), generator=torch.Generator().manual_seed(4)) / 6
    want = [np.argsort(-row, kind="stable")[:40] for row in scores.numpy()]
    for row, indices in zip(neurons.top_neurons(scores, 0.2), want):
        assert row.nonzero().flatten().tolist() == sorted(indices.tolist())


def test_neuron_mask_by_hand():
    scores = torch.tensor([[1.0, 0.75, 0.5]])
    chosen = torch.tensor([[True, True, False]])
    torch.testing.assert_close(neurons.neuron_mask(scores, chosen, 0.2), torch.tensor([[0.0, 0.05, 1.0]]))
    assert neurons.neuron_mask(scores, chosen, 0.0).tolist() == [[0.0, 0.0, 1.0]]
    assert neurons.neuron_mask(scores, torch.zeros_like(chosen), 0.2).tolist() == [[1.0, 1.0, 1.0]]
