"""CLEAR: half of the batch replayed, the policy recorded as rows are collected, values as they are stored."""

import pytest
import tiny
import torch
from torch.distributions import Independent, Normal, kl_divergence

from nbsp_lib.core import sac
from nbsp_lib.core.method import Method
from nbsp_lib.methods.clear import CLEAR
from nbsp_lib.methods.er import ER

CLOSE = {"rtol": 1e-4, "atol": 1e-6}


def lived(seeds=(0, 1), **settings):
    """60 rows collected with an update after each 5, a task end, and 3 updates: all agents that were, by their updates."""
    method = CLEAR(**settings)
    agent, replay = tiny.make(method, seeds)
    replay.data.zero_()
    replay.seen, replay.tasks = 0, []
    draw = lambda kind, *shape: torch.stack([kind(shape, generator=g) for g in gens])
    gens, before = tiny.generators(seeds, 21), []
    for _ in range(12):
        obs, action, reward = (
            draw(torch.randn, 5, tiny.OBS),
            draw(torch.randn, 5, tiny.ACT).tanh(),
            draw(torch.randn, 5),
        )
        before.append(tiny.copied(agent, None)[0])
        replay.add(obs, action, reward, obs.roll(1, 1), torch.zeros_like(reward), **method.collected(agent, obs))
        for u, noise in zip(
            draw(torch.rand, 1, 16).transpose(0, 1), draw(torch.randn, 1, 2, 16, tiny.ACT).transpose(0, 1)
        ):
            rows = replay.recent(u)
            sac.update_from_rows(agent, replay, rows, rows, {"sac": noise.transpose(0, 1)}, method, tiny.SETTINGS)
    recent = replay.data[:, :60].clone()
    method.after_task(agent, 0, None)
    replay.store(0, tiny.generators(seeds, 22))
    part = replay.kept(0)
    for name, values in method.kept(agent, part).items():
        part[name].copy_(values)
    before.append(tiny.copied(agent, None)[0])
    replay.tasks = [0]
    tiny.learn(agent, replay, method, seeds, 3)
    return method, agent, replay, before, recent


def test_the_policy_is_that_of_the_moment_a_row_was_collected_and_q_that_of_storing():
    _, _, replay, before, recent = lived()
    mean, log_std, q = (replay.columns[name] for name in ("policy_mean", "policy_log_std", "q"))
    obs = recent[..., replay.columns["obs"]]
    for t in range(12):
        now = slice(5 * t, 5 * t + 5)
        want = before[t].head.policy(Method(), before[t].actor, before[t].actor.params, obs[:, now])
        torch.testing.assert_close(recent[:, now, mean], want[0], **CLOSE)
        torch.testing.assert_close(recent[:, now, log_std], want[1], **CLOSE)
        if t:
            old = before[t - 1].head.policy(Method(), before[t - 1].actor, before[t - 1].actor.params, obs[:, now])[0]
            assert not torch.allclose(old, want[0], **CLOSE)
    assert (recent[..., q] == 0).all()
    part, end = replay.kept(0), before[-1]
    values = end.head.q_values(Method(), end.critic, end.critic.params, part["obs"], part["action"])[0][..., 0]
    torch.testing.assert_close(part["q"], values.transpose(1, 2), **CLOSE)
    for p in range(2):  # stored rows keep what was recorded with them
        for n in range(10):
            same = (recent[p, :, replay.columns["obs"]] == part["obs"][p, n]).all(1).nonzero()
            assert torch.equal(recent[p, same.item(), mean], part["policy_mean"][p, n])


def test_penalties_are_the_two_formulas_and_each_network_has_its_own():
    method, agent, replay, _, _ = lived(policy_weight=0.3, value_weight=0.7)
    old = replay.gather(replay.capacity + torch.arange(10).expand(2, -1))
    mean, log_std, _ = agent.head.policy(Method(), agent.actor, agent.actor.params, old["obs"])
    normal = lambda mean, log_std: Independent(Normal(mean, log_std.exp()), 1)
    want = kl_divergence(normal(old["policy_mean"], old["policy_log_std"]), normal(mean, log_std)).mean(1)
    torch.testing.assert_close(method.penalty(agent.actor, agent.actor.params, old), 0.3 * want, rtol=1e-3, atol=1e-6)
    q = agent.head.q_values(Method(), agent.critic, agent.critic.params, old["obs"], old["action"])[0]
    want = sum((q[:, j, :, 0] - old["q"][..., j]).pow(2).mean(1) for j in range(2))
    assert (want > 0).all()
    torch.testing.assert_close(method.penalty(agent.critic, agent.critic.params, old), 0.7 * want, **CLOSE)


def test_half_of_the_batch_is_replayed_and_without_weights_it_is_er():
    recent = torch.arange(20).reshape(2, 10)
    assert CLEAR().rows(None, recent, -recent).tolist() == [
        [0, -1, -2, -3, -4, 5, 6, 7, 8, 9],
        [-10, -11, -12, -13, -14, 15, 16, 17, 18, 19],
    ]
    results = []
    for method in (CLEAR(policy_weight=0.0, value_weight=0.0), ER(), CLEAR()):
        agent, replay = tiny.make(method, (0, 1))
        plain = tiny.make(Method(), (0, 1))[1].data
        replay.data[..., : plain.shape[-1]] = plain
        method.after_task(agent, 0, None)
        tiny.learn(agent, replay, method, (0, 1), 12)
        results.append(agent.tensors())
    assert not tiny.differing(results[0], results[1]) and tiny.differing(results[0], results[2])


def test_before_the_first_task_end_it_learns_as_plain_sac():
    """But it records from the first row on, so position 1 cannot be that of plain SAC."""
    results = []
    for method in (CLEAR(), Method()):
        agent, replay = tiny.make(method, (0, 1))
        plain = tiny.make(Method(), (0, 1))[1].data
        replay.data[..., : plain.shape[-1]] = plain
        for recent, _, noise in zip(*tiny.draws(replay, (0, 1), 10)):
            sac.update_from_rows(agent, replay, recent, recent, {"sac": noise}, method, tiny.SETTINGS)
        results.append(agent.tensors())
    assert not tiny.differing(*results) and not CLEAR.forkable


def test_a_seed_is_the_same_alone():
    whole = lambda seeds: (lambda method, agent, replay, *_: tiny.everything(agent, method) | {"r": replay.data})(
        *lived(seeds)
    )
    together = whole((0, 1, 2))
    for p in range(3):
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, whole((p,)))


def test_negative_weights_are_refused():
    for settings in ({"policy_weight": -1.0}, {"value_weight": -1.0}):
        with pytest.raises(ValueError, match="weights"):
            CLEAR(**settings)
