"""Labels that are not the goal metric, and the null that exchanged labels give: by hand, and what may not matter."""

import pytest
import tiny
import torch

from nbsp_lib.core import neurons
from nbsp_lib.methods import selection
from nbsp_lib.methods.nbsp import NBSP
from nbsp_lib.training import rollout

EPISODE = torch.tensor([[0, 0, 0, 1, 1, 1, 2, 2, 2]])  # [P=1, T=9]
UNEVEN = torch.tensor([[0, 0, 0, 2, 2, 5, 5, 5, 5]])  # games; nothing was kept of 1, 3 and 4


def test_time_within_an_episode():
    assert selection.time_of(EPISODE).tolist() == [[0, 1, 2] * 3]
    assert selection.time_of(torch.cat([UNEVEN, EPISODE])).tolist() == [[0, 1, 2, 0, 1, 0, 1, 2, 3], [0, 1, 2] * 3]


def test_the_clock_begins_at_the_median_first_success():
    goal = torch.tensor(
        [
            [0, 0, 1, 0, 1, 0, 0, 0, 0],  # first successes 2 and 1: the lower median is 1
            [0, 0, 1, 0, 0, 1, 0, 1, 1],  # 2, 2, 1
            [0, 0, 1, 0, 0, 0, 0, 0, 0],
        ]
    ).float()
    want = [[0, 1, 1] * 3, [0, 0, 1] * 3, [0, 0, 1] * 3]
    assert selection.late(goal, EPISODE.expand(3, -1)).tolist() == want
    for p in range(3):  # seeds share nothing
        assert selection.late(goal[p : p + 1], EPISODE).tolist() == want[p : p + 1]
    # a game's return is one number: t >= median of t; and a reward is good where it is above its mean
    assert selection.late(torch.tensor([[5.0] * 3 + [9] * 2 + [7] * 4]), UNEVEN).tolist() == [
        [0, 1, 1, 0, 1, 0, 1, 1, 1]
    ]
    assert selection.late(torch.tensor([[0.1, 0.2, 0.9, 0, 0, 0.8, 0, 0, 0.7]]), EPISODE).tolist() == [[0, 0, 1] * 3]


def test_whole_episodes_are_exchanged():
    goal, u = torch.arange(9.0)[None], torch.tensor([[0.9, 0.1, 0.5] + [0.0] * 6])
    assert selection.exchanged(goal, EPISODE, u).tolist() == [[3.0, 4, 5, 6, 7, 8, 0, 1, 2]]  # order of u: 1, 2, 0
    assert selection.exchanged(goal, UNEVEN, u).tolist() == [
        [3.0, 4, 4, 5, 6, 0, 1, 2, 2]
    ]  # what is too short is stretched


def test_exchanged_labels_keep_every_episode_and_seeds_share_nothing():
    gens = tiny.generators((0, 1, 2), 1)
    goal, u = (torch.stack([torch.rand(40, generator=g) for g in gens]) for _ in range(2))
    episode = (torch.arange(40) // 8).expand(3, -1)
    made = selection.exchanged(goal, episode, u)
    for p in range(3):
        assert sorted(made[p].view(5, 8).tolist()) == sorted(goal[p].view(5, 8).tolist())
        assert torch.equal(made[p : p + 1], selection.exchanged(goal[p : p + 1], episode[:1], u[p : p + 1]))
    assert not torch.equal(made[0].argsort(), made[1].argsort())


def test_a_rollout_tells_the_episode_of_each_moment():
    played = rollout.EpisodeRollout(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), None)
    assert (
        played.episode.tolist() == [[0] * 4 + [1] * 4 + [2] * 4] * 2
        and played.goal("reward").shape == played.episode.shape
    )


def ended(activity, goal, episode, **settings):
    """Rows for the actor after a task end, of neurons that do as `activity` [P, T, 5] says in both networks."""
    layers = lambda C: [part[:, None].expand(-1, C, -1, -1) for part in activity.split((2, 3), -1)]
    method, seeds = NBSP(**{"share": 0.2} | settings), range(len(goal))
    agent, _ = tiny.make(method, seeds, layers=(2, 3))
    rows = method.after_task(
        agent, 0, tiny.StubContext(seeds, {"actor": layers(1), "critic": layers(2)}, goal, episode)
    )
    return [row for row in rows if row["network"] == "actor"], method


def test_the_null_tells_a_clock_from_a_neuron_that_knows_the_episode():
    """Success comes at the same time in every episode, or in every second one from the start on; neuron 0 follows it."""
    T, E = 10, 20
    time, episode = torch.arange(T).repeat(E), torch.arange(E).repeat_interleave(T)
    clock, knows = (time >= 5).float(), (episode % 2 == 0).float()
    others = torch.rand(T * E, 4, generator=torch.Generator().manual_seed(0))
    for label, same in ((clock, True), (knows, False)):
        (row,), _ = ended(torch.cat([label[:, None], others], 1)[None], label[None], episode[None])
        assert row["chosen_score"] == 1
        assert row["null_score"] == pytest.approx(1) if same else 0.5 <= row["null_score"] < 0.9


@pytest.mark.parametrize("score", ["paper", "balanced", "accuracy"])
def test_the_base_rate_is_that_of_the_score_in_use(score):
    """A silent neuron is chosen with the others, and is never above it."""
    goal = torch.tensor([[1.0, 0, 0, 0] * 5])
    activity = torch.rand(1, 20, 5, generator=torch.Generator().manual_seed(1))
    activity[..., 3] = 0
    (row,), _ = ended(activity, goal, None, share=1.0, score=score)
    scores = neurons.skill_scores(activity, goal, score)[0]
    assert row["base_rate"] == pytest.approx({"paper": 0.75, "balanced": 0.5, "accuracy": 0.75}[score])
    assert row["base_rate"] == pytest.approx(scores[3].item())
    assert row["chosen_not_above_base"] == pytest.approx((scores <= scores[3] + 1e-6).float().mean().item())
    assert row["all_score"] == pytest.approx(row["chosen_score"]) == pytest.approx(scores.mean().item())


def test_active_chooses_all_that_fired_and_no_other():
    """One firing is enough, share 1 takes them all, a smaller share the most active."""
    activity = torch.tensor([[[0, 0, 3, 1, 0], [0, 0, 3, 0, 0], [0, 0, 3, 0, 0], [0.1, 0, 3, 0, 0]]])
    goal = torch.tensor([[1.0, 1, 0, 0]])
    for share, want in ((1.0, [0, 1, 0, 0, 1]), (0.4, [1, 1, 0, 0, 1]), (0.2, [1, 1, 0, 1, 1])):
        (row,), method = ended(activity, goal, None, score="active", share=share, alpha=0.0)
        union = torch.cat([method.state[f"actor.union{i}"][0, 0, 0] for i in range(2)])
        assert union.tolist() == want and row["chosen"] == 5 - sum(want)


def test_time_and_shuffled_choose_by_their_labels_and_hold_by_the_true_score():
    """Neuron 0 follows the goal, neuron 1 the clock: which one is chosen, and α (1 − its paper's score)."""
    T, E = 4, 6
    time, episode = torch.arange(T).repeat(E), torch.arange(E).repeat_interleave(T)
    goal = ((time >= 2) & (episode < 4)).float()  # clock agrees with it at 20 of 24 moments
    activity = torch.stack([goal, (time >= 2).float(), *torch.zeros(3, T * E)], 1)[None]
    for score, chosen, held in (("paper", 0, 0.0), ("time", 1, 0.2 * 4 / 24)):
        (row,), method = ended(activity, goal[None], episode[None], score=score)
        union = torch.cat([method.state[f"actor.union{i}"][0, 0, 0] for i in range(2)])
        assert union.tolist() == pytest.approx([held if n == chosen else 1 for n in range(5)])
        assert row["chosen_score"] == pytest.approx(1 - held / 0.2)
    (row,), method = ended(activity, goal[None], episode[None], score="shuffled", share=1.0)
    union = torch.cat([method.state[f"actor.union{i}"][0, 0, 0] for i in range(2)])
    torch.testing.assert_close(union, 0.2 * (1 - neurons.skill_scores(activity, goal[None]))[0])
