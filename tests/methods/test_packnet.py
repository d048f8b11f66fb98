"""PackNet: who owns which weight, what a position may move, and that an earlier policy stays as it was."""

from types import SimpleNamespace

import pytest
import tiny
import torch

from nbsp_lib.core.context import Context
from nbsp_lib.core.method import Method
from nbsp_lib.methods.packnet import PackNet, prune

SETTINGS = SimpleNamespace(
    **vars(tiny.SETTINGS), steps=100, random_steps=20, updates_per_step=0.5
)  # 40 updates a position


class Life(tiny.Life):
    """Positions of a PackNet in miniature; `retrained` collects how many updates it asked for."""

    def __init__(self, seeds=(0, 1), tasks=tiny.TASKS * 2, **settings):
        super().__init__(PackNet(**settings), seeds, tasks, SETTINGS, self.retrain)
        self.retrained = []

    def retrain(self, updates):
        self.retrained.append(updates)
        self.before = self.actor()
        self.clocks = [clock.clone() for clock, _ in self.agent.actor.clocks]
        tiny.learn(self.agent, self.replay, self.method, self.seeds, updates, purpose=30 + self.position)

    def actor(self):
        return {k: p.clone() for k, p in self.agent.actor.params.items()}

    def owner(self, i):
        return self.method.state[f"actor.owner{i}"]

    def play(self, task):
        """The output of the actor for a task, [P, 1, 20, 2A]."""
        self.method.before_task(self.agent, task, "evaluate")
        obs = self.replay.gather(torch.arange(20).expand(len(self.seeds), -1))["obs"]
        out = self.method.forward(self.agent.actor, self.agent.actor.params, obs[:, None])[0]
        self.method.before_task(self.agent, task, "resume")
        return out


def test_pruning_by_hand():
    w = torch.tensor([[0.5, -0.1, 0.3, -0.9, 0.2, 7.0]]).view(1, 1, 2, 3)
    first = torch.tensor([[1.0, 1, 1, 1, 1, 0]]).view(1, 1, 2, 3)
    used = torch.ones_like(first, dtype=torch.bool)
    prune(kept := w.clone(), owner := first.clone(), used, 1, 3)  # of five owned weights the two largest stay
    torch.testing.assert_close(kept.flatten(), torch.tensor([0.5, 0, 0, -0.9, 0, 7.0]))
    assert owner.flatten().tolist() == [1, 2, 2, 1, 2, 0]
    used[..., 1, :] = False  # 0.9 and 0.2: of three weights that count one stays, and these pass on with the others
    prune(kept := w.clone(), owner := first.clone(), used, 1, 3)
    torch.testing.assert_close(kept.flatten(), torch.tensor([0.5, 0, 0, 0, 0, 7.0]))
    assert owner.flatten().tolist() == [1, 2, 2, 2, 2, 0]
    prune(torch.zeros_like(w), owner := torch.zeros_like(w), torch.ones_like(used), 0, 2)  # ties: the count holds
    assert owner.sum() == 3


@pytest.mark.parametrize("K", [2, 4])
def test_every_position_has_an_equal_share_of_what_is_in_use(K):
    """Of the kernel of the inputs, two of which are always 0, as half of Meta-World's are."""
    life = Life(tasks=tiny.TASKS * (K // 2))
    life.replay.data[..., life.replay.columns["obs"]][..., :2] = 0
    for k in range(K):
        before = life.owner(0).clone()
        life.train(k % 2)
        used = life.method.in_use(life.agent, life.context)[0]
        life.finish(k % 2)
        assert not used[..., :2, :].any() and used[..., 2:, :].any()
        assert (life.owner(0)[..., :2, :] == min(k + 1, K - 1)).all()  # they pass on, to the last
        mine, stays = (before == k) & used, life.owner(0) == k
        if k < K - 1:
            assert not (stays & ~mine).any()
            assert torch.equal(stays.flatten(1).sum(1), -(-mine.flatten(1).sum(1) // (K - k)))
    assert life.retrained == [4] * (K - 1)  # 0.1 · 40 updates, not at the last


def test_a_weight_is_in_use_if_its_input_and_its_unit_are_not_always_0():
    life = Life(seeds=(0,))
    life.agent.actor.params["b0"][..., 1] = -1e6  # a unit that never fires
    life.replay.data[..., life.replay.columns["obs"]][..., 0] = 0
    first, second, last = life.method.in_use(life.agent, life.context)
    assert not first[..., 0, :].any() and not first[..., :, 1].any() and not second[..., 1, :].any()
    assert torch.equal(first[0, 0, 1], first[0, 0, 2]) and first[0, 0, 1].any()
    assert torch.equal(last[0, 0, :, 0], second[0, 0].any(0)) and last.shape[-1] == 2 * tiny.ACT


def test_a_position_moves_its_own_weights_only_and_biases_belong_to_the_first():
    life = Life()
    for k in range(4):
        before = life.actor()
        life.train(k % 2)
        for i in range(3):
            moved = life.agent.actor.params[f"w{i}"] != before[f"w{i}"]
            assert not moved[life.owner(i) != k].any() and moved[life.owner(i) == k].any()
            assert (life.agent.actor.params[f"b{i}"] != before[f"b{i}"]).any() == (k == 0)
        life.finish(k % 2)
    before = life.actor()
    life.train(0)  # a fifth position of four: nothing is left to learn with
    assert not tiny.differing(before, life.actor())


def test_an_earlier_policy_stays_bit_for_bit_and_a_revisit_gets_its_own():
    """A, B, A, B: the policy of A is that of position 0 until position 2 begins, then that of position 2."""
    life = Life()
    life.train(0)
    assert torch.equal(life.play(0), life.play(1))  # B was never trained: all weights
    life.finish(0)
    first = life.play(0)
    life.train(1)
    assert torch.equal(life.play(0), first) and not torch.equal(life.play(1), first)
    life.finish(1)
    second = life.play(1)
    assert torch.equal(life.play(0), first)
    life.train(0)
    assert torch.equal(life.play(1), second) and not torch.equal(life.play(0), first)
    life.finish(0)
    third = life.play(0)
    life.train(1)
    assert torch.equal(life.play(0), third) and not torch.equal(life.play(1), second)
    life.method.state["actor.view"].fill_(0)  # and the first policy is still in there
    obs = life.replay.gather(torch.arange(20).expand(2, -1))["obs"]
    assert torch.equal(life.method.forward(life.agent.actor, life.agent.actor.params, obs[:, None])[0], first)


def test_retraining_moves_what_is_kept_and_what_is_freed_is_zero():
    life = Life()
    for k in range(3):
        life.train(k % 2)
        life.finish(k % 2)
        assert all((clock == 0).all() for clock in life.clocks)  # Adam began anew for it
        for i in range(3):
            moved = life.agent.actor.params[f"w{i}"] != life.before[f"w{i}"]
            assert not moved[life.owner(i) != k].any() and moved[life.owner(i) == k].any()
            assert (life.agent.actor.params[f"w{i}"][life.owner(i) == k + 1] == 0).all()
        assert not any(t.any() for t in (*life.agent.actor.m.values(), *life.agent.actor.v.values()))
        assert all((clock == 0).all() for clock, _ in life.agent.actor.clocks)  # and after it
        assert any(t.any() for t in life.agent.critic.m.values())


def test_long_retraining_comes_in_pieces_and_none_is_none():
    life = Life(retrain=0.0)
    life.train(0)
    life.finish(0)
    assert life.retrained == []
    method, asked = PackNet(retrain=0.5), []
    agent, replay = tiny.make(method, tasks=tiny.TASKS * 2)
    settings = SimpleNamespace(**vars(SETTINGS) | {"steps": 2420})
    method.after_task(
        agent, 0, Context(agent, method, replay, tiny.generators((0,), 9), (0,), settings, learn=asked.append)
    )
    assert asked == [500, 100]  # half of 1200


def test_plain_sac_until_the_first_task_end():
    results = []
    for method in (Method(), PackNet()):
        agent, replay = tiny.make(method, (0, 1))
        method.before_task(agent, 0, "train")
        tiny.learn(agent, replay, method, (0, 1), 15)
        results.append(agent.tensors())
    assert not tiny.differing(*results)


def test_a_run_that_was_not_told_of_its_first_task_knows_it_afterwards():
    """A fork of plain SAC begins behind before_task: the state is the neutral one."""
    told, forked = Life(), Life()
    told.method.before_task(told.agent, 0, "train")
    for life in (told, forked):
        life.finish(0)
    assert not tiny.differing(told.method.state, forked.method.state)
    assert forked.method.state["actor.trained"].tolist() == [[0, -1]] * 2


def test_what_ships_is_enough_to_play():
    """fp16 and back, the state of acts_from alone: the same choice of weights for every task."""
    life = Life()
    for k in range(2):
        life.train(k)
        life.finish(k)
    new = PackNet()
    new.state = {k: life.method.state[k].half().float() for k in life.method.acts_from}
    for task in (0, 1):
        want = life.play(task)
        new.before_task(life.agent, task, "evaluate")
        obs = life.replay.gather(torch.arange(20).expand(2, -1))["obs"]
        mean = life.agent.head.policy(new, life.agent.actor, life.agent.actor.params, obs)[0]
        assert torch.equal(mean, want[:, 0, :, : tiny.ACT])


def test_seeds_are_independent_and_addresses_stay():
    alive = {}
    for seeds in ((0, 1, 2), (2,)):
        life = Life(seeds)
        places = {k: t.data_ptr() for k, t in (life.agent.tensors() | life.method.state).items()}
        for k in range(3):
            life.train(k % 2)
            life.finish(k % 2)
        assert places == {k: t.data_ptr() for k, t in (life.agent.tensors() | life.method.state).items()}
        alive[seeds] = {k: t[-1] for k, t in tiny.everything(life.agent, life.method).items()}
    assert not tiny.differing(*alive.values())


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="retrain"):
        PackNet(retrain=-0.1)
