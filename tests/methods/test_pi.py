"""PI: an injection changes no output, and afterwards only the new head and the encoder learn."""

import pytest
import tiny
import torch
import torch.nn.functional as F

from nbsp_lib.core import nets
from nbsp_lib.core.context import Context
from nbsp_lib.core.method import Method
from nbsp_lib.methods.pi import PI


def trained(seeds=(0, 1), injections=2):
    """An agent in mid-training, its PI, the replay, a World."""
    method = PI(injections=injections)
    agent, replay = tiny.make(method, seeds)
    tiny.learn(agent, replay, method, seeds, 20)
    return agent, method, replay, Context(agent, method, replay, tiny.generators(seeds, 9), seeds, tiny.SETTINGS)


def outputs(agent, method, replay):
    """Mean and log standard deviation of the actor, Q and target Q on rows of the replay."""
    batch = replay.gather(torch.arange(30).expand(len(agent.updates), -1))
    mean, log_std, _ = agent.head.policy(method, agent.actor, agent.actor.params, batch["obs"])
    q = lambda params: agent.head.q_values(method, agent.critic, params, batch["obs"], batch["action"])[0]
    return {"mean": mean, "log_std": log_std, "q": q(agent.critic.params), "target": q(agent.target)}


def head(params, method, h):
    """The parameters of head h as those of an ordinary network, [P, C, …]."""
    return {k: p if k.endswith("0") else method.split(p)[:, :, h] for k, p in params.items()}


def test_an_injection_changes_no_output_neither_the_first_nor_the_second():
    agent, method, replay, context = trained()
    for purpose in (5, 6):
        before = outputs(agent, method, replay)
        method.after_task(agent, 0, context)
        after = outputs(agent, method, replay)
        for k in before:
            assert (after[k] - before[k]).abs().max() < 1e-5, k
        tiny.learn(agent, replay, method, (0, 1), 10, purpose=purpose)
        for k, t in outputs(agent, method, replay).items():
            assert (t - after[k]).abs().max() > 1e-4, k  # and then it learns
    before = tiny.everything(agent, method)
    method.after_task(agent, 0, context)  # no room any more
    assert not tiny.differing(before, tiny.everything(agent, method))


def test_the_output_is_the_signed_sum_of_ordinary_heads_on_one_encoder():
    agent, method, replay, context = trained()
    method.after_task(agent, 0, context)
    tiny.learn(agent, replay, method, (0, 1), 5, purpose=5)
    obs = torch.randn(2, 1, 9, tiny.OBS)
    for net, x in ((agent.actor, obs), (agent.critic, F.pad(obs, (0, tiny.ACT), value=0.3))):
        plain = [nets.mlp_forward(net, head(net.params, method, h), x) for h in range(3)]
        out, hidden = method.forward(net, net.params, x)
        torch.testing.assert_close(out, plain[0][0] + plain[1][0] - plain[2][0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(hidden[0], plain[0][1][0])
        torch.testing.assert_close(hidden[1], plain[1][1][1])  # of the head that learns


def test_only_the_encoder_and_the_head_injected_last_learn():
    """Head 0 before the first injection, then head 1, then head 3; the target's heads follow those of the critics."""
    agent, method, replay, context = trained()
    for learning, purpose in ((0, 4), (1, 5), (3, 6)):
        before = {net.name: {k: p.clone() for k, p in net.params.items()} for net in agent.networks}
        tiny.learn(agent, replay, method, (0, 1), 6, purpose=purpose)
        for net in agent.networks:
            for k, p in net.params.items():
                if k.endswith("0"):
                    assert (p != before[net.name][k]).any()
                    continue
                moved = (method.split(p) != method.split(before[net.name][k])).flatten(3).any(3)  # [P, C, H]
                assert (moved == (torch.arange(5) == learning)).all(), (net.name, k)
        method.after_task(agent, 0, context)


def test_the_pair_is_equal_fresh_and_in_the_target_and_its_adam_is_new():
    agent, method, _, context = trained()
    method.after_task(agent, 0, context)
    for net in agent.networks:
        encoder, heads = (count for count, _ in net.clocks)
        assert (encoder == 20).all() and method.split(heads)[0, 0].flatten().tolist() == [20, 0, 20, 20, 20]
        for k, p in net.params.items():
            if k.endswith("0"):
                assert (net.m[k] != 0).any()
                continue
            first, plus, minus = method.split(p)[:, :, :3].unbind(2)
            bound = net.params[k.replace("b", "w")].shape[2] ** -0.5
            assert torch.equal(plus, minus) and (plus != first).all() and 0 < plus.abs().max() <= bound
            assert (method.split(net.m[k])[:, :, 1] == 0).all() and (method.split(net.m[k])[:, :, 0] != 0).any()
            assert (method.split(net.v[k])[:, :, 1] == 0).all()
            if net is agent.critic:
                assert torch.equal(method.split(agent.target[k])[:, :, 1:3], method.split(p)[:, :, 1:3])
                assert not torch.equal(
                    method.split(agent.target[k])[:, :, 0], first
                )  # the earlier head goes on following
                assert not torch.equal(plus[:, 0], plus[:, 1])  # each critic draws its own


def test_gradients_reach_the_encoder_through_all_heads():
    agent, method, _, context = trained()
    method.after_task(agent, 0, context)
    net, x = agent.actor, torch.randn(2, 1, 9, tiny.OBS)
    gradient = lambda forward: torch.autograd.grad(forward(w0).pow(2).sum(), w0)[0]
    w0 = net.params["w0"].clone().requires_grad_()
    mine = gradient(lambda w0: method.forward(net, net.params | {"w0": w0}, x)[0])
    plain = lambda w0, h: nets.mlp_forward(net, head(net.params, method, h) | {"w0": w0}, x)[0]
    want = gradient(lambda w0: plain(w0, 0) + plain(w0, 1) - plain(w0, 2))
    torch.testing.assert_close(mine, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("injections", [0, 2])
def test_before_any_injection_it_is_an_ordinary_network(injections):
    """The same first weights, so the same outputs; Adam of the heads takes another path, so training is close, not equal."""
    results = []
    for method in (Method(), PI(injections=injections)):
        agent, replay = tiny.make(method, (0, 1))
        first = outputs(agent, method, replay)
        tiny.learn(agent, replay, method, (0, 1), 15)
        results.append((first, outputs(agent, method, replay)))
    (plain, plain_later), (mine, mine_later) = results
    for k in plain:
        assert torch.equal(plain[k], mine[k]), k
        torch.testing.assert_close(plain_later[k], mine_later[k], rtol=1e-3, atol=1e-5)


def test_off_the_cpu_nothing_of_a_tensor_is_asked():
    """Tensors without values: whoever asks one for a number raises. There all heads are computed; their signs are zero."""
    agent, method, _, _ = trained()
    net, x = agent.actor, torch.randn(2, 1, 9, tiny.OBS)
    here, learning = method.forward(net, net.params, x)
    method.state = {k: t.to("meta") for k, t in method.state.items()}
    out, hidden = method.forward(net, {k: p.to("meta") for k, p in net.params.items()}, x.to("meta"))
    assert out.shape == here.shape and [h.shape for h in hidden] == [h.shape for h in learning]


def test_seeds_are_independent_and_addresses_stay():
    alive = {}
    for seeds in ((0, 1, 2), (2,)):
        agent, method, replay, context = trained(seeds)
        places = {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}
        for purpose in (5, 6):
            method.after_task(agent, 0, context)
            tiny.learn(agent, replay, method, seeds, 5, purpose=purpose)
        assert places == {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}
        alive[seeds] = {k: t[-1] for k, t in tiny.everything(agent, method).items()}
    assert not tiny.differing(*alive.values())


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="injections"):
        PI(injections=-1)
