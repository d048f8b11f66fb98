"""ClonEx: the divergence, what is recorded and when, and what cloning adds to which loss."""

import pytest
import tiny
import torch
from torch.distributions import Independent, Normal, kl_divergence

from nbsp_lib.core.categorical import Categorical
from nbsp_lib.core.gaussian import Gaussian
from nbsp_lib.core.method import Method
from nbsp_lib.methods import clonex
from nbsp_lib.methods.clonex import ClonEx

CLOSE = {"rtol": 1e-4, "atol": 1e-6}


def test_divergences_are_those_of_torch_distributions():
    """Of Gaussians, and of policies over actions, one of which never takes an action."""
    logits = torch.randn(2, 4, 7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    logits[1, ..., 0] = -800
    one, two = ({"log_policy": part.log_softmax(-1)} for part in logits.flip(0))
    distributions = (torch.distributions.Categorical(logits=part["log_policy"]) for part in (one, two))
    torch.testing.assert_close(
        Categorical(3).divergence(one, two), kl_divergence(*distributions), rtol=1e-10, atol=1e-12
    )
    recorded = lambda mean, log_std: {"policy_mean": mean, "policy_log_std": log_std}
    gaussian_kl = lambda *p: Gaussian(3).divergence(recorded(*p[:2]), recorded(*p[2:]))
    g = torch.Generator().manual_seed(0)
    mean, other = (3 * torch.randn(4, 7, 3, generator=g, dtype=torch.float64) for _ in range(2))
    log_std, other_log_std = (torch.rand(4, 7, 3, generator=g, dtype=torch.float64) * 7 - 5 for _ in range(2))
    normal = lambda m, s: Independent(Normal(m, s.exp()), 1)
    want = kl_divergence(normal(mean, log_std), normal(other, other_log_std))
    torch.testing.assert_close(gaussian_kl(mean, log_std, other, other_log_std), want, rtol=1e-10, atol=0)
    assert gaussian_kl(mean, log_std, mean, log_std).abs().max() < 1e-12


def ended(P=2, **settings):
    """An agent at its first task end, its rows kept, then three updates further: method, agent, copy at the end, replay."""
    method, seeds = ClonEx(**settings), tuple(range(P))
    agent, replay = tiny.make(method, seeds)
    for name in ("policy_mean", "policy_log_std", "q"):  # what add() leaves there; tiny fills it with chance
        if name in replay.columns:
            replay.data[..., replay.columns[name]] = 0.0
    tiny.learn(agent, replay, method, seeds, 5)
    method.after_task(agent, 0, None)
    replay.store(0, tiny.generators(seeds, 9))
    part = replay.kept(0)
    for name, values in method.kept(agent, part).items():
        part[name].copy_(values)
    then, _ = tiny.copied(agent, None)
    tiny.learn(agent, replay, method, seeds, 3, purpose=4)
    return method, agent, then, replay


@pytest.mark.parametrize("critic", [False, True])
def test_recorded_is_what_the_networks_were_at_the_task_end(critic, monkeypatch):
    """For rows of this task only, whatever piece they are in, and it stays when the networks go on."""
    monkeypatch.setattr(clonex, "PIECE", 4)  # 10 rows: pieces of 4, 4, 2
    _, agent, then, replay = ended(critic=critic)
    part, other = replay.kept(0), replay.kept(1)
    assert set(part) - {"obs", "action", "reward", "next_obs", "done"} == {"policy_mean", "policy_log_std"} | (
        {"q"} if critic else set()
    )
    mean, log_std, _ = then.head.policy(Method(), then.actor, then.actor.params, part["obs"])
    torch.testing.assert_close(part["policy_mean"], mean, **CLOSE)
    torch.testing.assert_close(part["policy_log_std"], log_std, **CLOSE)
    assert not torch.allclose(
        agent.head.policy(Method(), agent.actor, agent.actor.params, part["obs"])[0], mean, **CLOSE
    )
    assert (other["policy_mean"] == 0).all() and (
        replay.data[:, : replay.capacity, replay.columns["policy_mean"]] == 0
    ).all()
    if critic:
        for j in range(2):  # column j is critic j
            one = {k: p[:, j : j + 1] for k, p in then.critic.params.items()}
            q = then.head.q_values(Method(), then.critic, one, part["obs"], part["action"])[0]
            torch.testing.assert_close(part["q"][..., j], q[:, 0, :, 0], **CLOSE)


def test_a_revisit_replaces_what_was_recorded():
    method, agent, _, replay = ended()
    old = replay.kept(0)["policy_mean"].clone()
    part = replay.kept(0)
    for name, values in method.kept(agent, part).items():
        part[name].copy_(values)
    now = agent.head.policy(Method(), agent.actor, agent.actor.params, part["obs"])[0]
    torch.testing.assert_close(part["policy_mean"], now, **CLOSE)
    assert not torch.allclose(part["policy_mean"], old, **CLOSE) and replay.tasks == [0, 1]


def stored_batch(replay, P=2):
    return replay.gather(replay.capacity + torch.arange(10).expand(P, -1))


def test_penalty_is_the_mean_divergence_seed_by_seed():
    """And its gradient is that of torch.distributions through a policy written out by hand."""
    method, agent, _, replay = ended(weight=7.0)
    old = stored_batch(replay)
    params = {k: p.clone().requires_grad_() for k, p in agent.actor.params.items()}
    penalty = method.penalty(agent.actor, params, old)
    x = old["obs"]
    for i in range(2):
        x = (x @ params[f"w{i}"][:, 0] + params[f"b{i}"][:, 0]).relu()
    mean, raw = (x @ params["w2"][:, 0] + params["b2"][:, 0]).chunk(2, -1)
    log_std = -5 + 3.5 * (torch.tanh(raw) + 1)
    recorded = Independent(Normal(old["policy_mean"], old["policy_log_std"].exp()), 1)
    want = 7 * kl_divergence(recorded, Independent(Normal(mean, log_std.exp()), 1)).mean(1)
    assert penalty.shape == (2,) and (penalty > 0).all()
    torch.testing.assert_close(penalty, want, rtol=1e-3, atol=1e-6)
    grads = [torch.autograd.grad(loss.sum(), list(params.values()), retain_graph=True) for loss in (penalty, want)]
    torch.testing.assert_close(*grads, rtol=1e-3, atol=1e-5)
    first = torch.autograd.grad(penalty[0], list(params.values()))
    assert all((g[1] == 0).all() and (g[0] != 0).any() for g in first)


def test_the_critics_are_cloned_only_if_asked():
    method, agent, _, replay = ended(weight=3.0, critic=True)
    old = stored_batch(replay)
    q = agent.head.q_values(Method(), agent.critic, agent.critic.params, old["obs"], old["action"])[0]
    want = 3 * sum((q[:, j, :, 0] - old["q"][..., j]).pow(2).mean(1) for j in range(2))
    torch.testing.assert_close(method.penalty(agent.critic, agent.critic.params, old), want, **CLOSE)
    assert (want > 0).all()
    method, agent, _, replay = ended()
    assert method.penalty(agent.critic, agent.critic.params, stored_batch(replay)) == 0.0


def test_where_nothing_has_changed_cloning_has_no_gradient():
    """At the recorded networks the divergence is at its minimum, 0."""
    method, _, then, replay = ended(critic=True)
    for net in (then.actor, then.critic):
        params = {k: p.clone().requires_grad_() for k, p in net.params.items()}
        penalty = method.penalty(net, params, stored_batch(replay))
        assert penalty.abs().max() < 1e-4
        assert max(g.abs().max() for g in torch.autograd.grad(penalty.sum(), list(params.values()))) < 1e-2


def test_cloning_holds_the_policy_near_what_it_was():
    """40 updates after the task end: less divergence with a larger weight, all the same until then."""
    drift = []
    for weight in (0.0, 1.0, 100.0):
        method, agent, _, replay = ended(weight=weight)
        tiny.learn(agent, replay, method, (0, 1), 40, purpose=5)
        with torch.no_grad():
            drift.append(
                clonex.policy_distance(agent.head, method, agent.actor, agent.actor.params, stored_batch(replay))
            )
    assert (drift[0] > drift[1]).all() and (drift[1] > drift[2]).all()


@pytest.mark.parametrize("critic", [False, True])
def test_plain_sac_until_the_first_task_end(critic):
    """Whatever stands in the columns; the batch of stored rows is gathered all the same."""
    results = []
    for method in (ClonEx(critic=critic), Method()):
        agent, replay = tiny.make(method, (0, 1))
        plain = tiny.make(Method(), (0, 1))[1].data  # the same experience for both
        replay.data[..., : plain.shape[-1]] = plain
        tiny.learn(agent, replay, method, (0, 1), 15)
        results.append(agent.tensors())
    assert not tiny.differing(*results)


def test_a_seed_is_the_same_alone_and_the_state_stays_where_it_is():
    def trained(seeds):
        method = ClonEx(critic=True)
        agent, replay = tiny.make(method, seeds)
        place = method.state["on"].data_ptr()
        tiny.learn(agent, replay, method, seeds, 5)
        method.after_task(agent, 0, None)
        for name, values in method.kept(agent, replay.kept(0)).items():
            replay.kept(0)[name].copy_(values)
        tiny.learn(agent, replay, method, seeds, 10, purpose=4)
        assert method.state["on"].data_ptr() == place and method.state["on"].tolist() == [1.0] * len(seeds)
        return tiny.everything(agent, method) | {"rows": replay.data}

    together = trained((0, 1, 2))
    for p in range(3):
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, trained((p,)))


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="weight"):
        ClonEx(weight=-1)
