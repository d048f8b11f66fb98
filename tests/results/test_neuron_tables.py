"""Tables of single neurons against hand-made activations, exact expectations and rollouts of made-up agents."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import synthetic
import torch
from test_figures import made_up_rollout
from test_results import profile_at

from nbsp_lib.results import neuron_tables, reevaluate
from nbsp_lib.results.study import read_study
from nbsp_lib.training import rollout as evaluate


def test_rows_by_hand():
    # Goal 0 0 1 1 (base rate 0.5). Actor: neuron 0 follows it (score 1), 1 opposes it (1), 2 never fires (0.5), 3 agrees 3 of 4.
    goal = torch.tensor([[[0.0, 0, 1, 1]]])
    layer = torch.tensor([[0.0, 0, 2, 2], [1, 1, 0, 0], [0, 0, 0, 0], [0, 4, 4, 4]]).T[None, None]  # [1, 1, T, W]
    critic = torch.cat([layer, layer], 1)
    played = evaluate.EpisodeRollout(goal, goal * 0, {"actor": [layer], "critic": [critic]})
    rows = neuron_tables.neuron_rows(played, "success", 0.5).query("network == 'actor'")
    assert rows.score.tolist() == [1, 1, 0.5, 0.75] and rows.balanced.tolist() == [1, 1, 0.5, 0.75]
    assert rows.chosen.tolist() == [True, True, False, False]
    assert rows.activation_success.tolist() == [2, 0, 0, 4] and rows.activation_failure.tolist() == [0, 1, 0, 2]
    assert rows.mean_activation.tolist() == [1, 0.5, 0, 3] and set(rows.base_rate) == {0.5}
    assert rows.layer.tolist() == [1] * 4 and rows.neuron.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("goal", [0, 1])
def test_a_constant_goal_leaves_rows_without_scores(goal):
    rows = neuron_tables.neuron_rows(made_up_rollout(0, goal), "success", 0.25)
    assert rows[["score", "balanced", "base_rate", "score_held_out"]].isna().all(axis=None)
    assert not rows.chosen.any() and rows.mean_activation.notna().all() and len(rows) == 24


def test_held_out_with_its_own_thresholds_is_the_score():
    g = torch.Generator().manual_seed(1)
    hidden, goal = torch.rand(1, 50, 6, generator=g), (torch.rand(1, 50, generator=g) > 0.5).float()
    own = neuron_tables.held_out_scores(hidden, goal, hidden, goal)
    assert torch.equal(own, neuron_tables.skill_scores(hidden, goal))


def test_expected_jaccard_is_the_mean_over_all_sets():
    N, a, b = 6, 2, 3
    sets = [[np.isin(range(N), s) for s in itertools.combinations(range(N), k)] for k in (a, b)]
    mean = np.mean([neuron_tables.jaccard(x, y) for x in sets[0] for y in sets[1]])
    assert neuron_tables.expected_jaccard(N, a, b) == pytest.approx(mean)
    assert np.isnan(neuron_tables.expected_jaccard(N, 0, 0))


def test_best_takes_ties_by_index():
    assert neuron_tables.best(np.array([1.0, 2, 2, 2]), 2).tolist() == [False, True, True, False]


def test_overlap_compares_what_it_names():
    rows = []
    for seed, position, task, chosen in [
        (0, 1, "a", (0, 1)),
        (0, 2, "b", (2, 3)),
        (0, 3, "a", (0, 2)),
        (1, 1, "a", (0, 1)),
    ]:
        for n in range(4):
            rows.append(
                {
                    "arm": "x",
                    "seed": seed,
                    "position": position,
                    "task": task,
                    "network": "actor",
                    "layer": 1,
                    "neuron": n,
                    "score": 0.6,
                    "chosen": n in chosen,
                    "score_first": -n,
                    "score_second": -n if seed else n,
                }
            )
    table = neuron_tables.overlap_rows(pd.DataFrame(rows)).groupby("comparison").jaccard.apply(list)
    assert table["two seeds"] == [1.0] and table["two visits of a task"] == [pytest.approx(1 / 3)]
    assert sorted(table["two tasks"]) == [0.0, pytest.approx(1 / 3)]
    assert sorted(table["two halves of a rollout"]) == [0, 0, 0, 1]


def test_silenced_sets_are_of_one_size_and_draws_repeat():
    rows = neuron_tables.neuron_rows(made_up_rollout(3), "success", 0.25).query("network == 'actor'")
    one, two = (neuron_tables.silence_sets(rows, 3, [0, 1]) for _ in range(2))
    named = [(choice, draw) for choice, draw, _ in one]
    drawn = [(kind, draw) for draw in range(3) for kind in ("random firing", "matched")]
    assert named == [("chosen", 0), ("lowest", 0), ("most active", 0), *drawn]
    silent = rows.assign(mean_activation=np.where(np.arange(len(rows)) < len(rows) - 2, 0.0, 1.0))
    sets = neuron_tables.silence_sets(silent, 3, [0, 1])
    firing = [off for choice, _, off in sets if choice in ("random firing", "most active")]
    assert len(firing) == 4 and all(off[-2:].all() and off.sum() == 2 for off in firing)
    assert all((a[2] == b[2]).all() and a[2].sum() == 2 for a, b in zip(one, two, strict=True))
    assert rows.score[one[1][2]].max() <= rows.score[~one[1][2]].min()


def test_matched_neurons_are_the_nearest_of_their_layer_that_are_left():
    chosen, layer = np.array([1, 0, 0, 0, 1, 0, 1, 1], bool), np.array([1, 1, 1, 1, 1, 2, 2, 2])
    activity = np.array([5.0, 4.9, 4.0, 0.0, 5.1, 5.0, 5.0, 1.0])
    found = neuron_tables.matched(chosen, activity, layer, np.arange(8))
    assert found.tolist() == [
        False,
        True,
        True,
        False,
        False,
        True,
        False,
        False,
    ]  # 0 takes 1, then 4 takes 2; 6 takes 5
    activity[4] = 0.3  # layer 2 has nothing left for 7
    assert neuron_tables.matched(chosen, activity, layer, np.arange(8)).nonzero()[0].tolist() == [1, 3, 5]


def test_rolling_out_again_repeats_itself_and_finds_the_networks(tmp_path, measured):
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), finished={0: 1, 1: 0})
    result = read_study(profile_at(tmp_path, seeds=(0, 1)), "window").results["nbsp"]
    assert reevaluate.reroll_rows(result).seed.tolist() == [0, 0, 1, 1]
    again = reevaluate.reroll_rows(result, 1)
    assert again.position.tolist() == [1, 1] and again.rerolled.between(0, 1).all()
    assert (again.difference == again.rerolled - again.recorded).all()
    neurons = reevaluate.score_neurons(result, 4, 0.25)
    assert set(neurons.network) == {"actor", "critic0", "critic1"} and len(neurons) == 3 * 16
    silenced = reevaluate.silence_neurons(result, neurons, 2, 2)
    counts = silenced.groupby("choice").neurons.first().to_dict()
    assert counts == {"nothing": 0, **dict.fromkeys(("chosen", "lowest", "most active", "random firing", "matched"), 4)}
    assert len(silenced) == 8
    actor = neurons[neurons.network == "actor"]
    activity = silenced.set_index("choice").activity
    assert activity.chosen == pytest.approx(actor[actor.chosen].mean_activation.mean()) and activity.nothing == 0
    assert activity["most active"] >= silenced.activity.max() - 1e-12
    agent = next(reevaluate.agents(result))[3]
    played = evaluate.rollout(agent, "window-open", [0], 2, 20)
    assert silenced[silenced.choice == "nothing"].success.item() == float(played.outcome()[0])
    assert float(measured[0].outcome()[2]) == pytest.approx(
        float(played.reward.sum(2).mean())
    )  # nothing is silenced first
