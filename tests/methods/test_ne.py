"""NE: how sparse networks begin, the schedule by hand, which weights come and go, what absent and grown weights do."""

import math
from types import SimpleNamespace

import pytest
import tiny
import torch
from torch.testing import assert_close as close

from nbsp_lib.core.adam import adam_steps
from nbsp_lib.core.context import Context
from nbsp_lib.core.method import Method
from nbsp_lib.methods.ne import NE, first_counts, largest

# Two positions of 20 updates: T = 40. Layers (8, 6): 48 inner weights, 10 at the start, at most 36.
SETTINGS = SimpleNamespace(**vars(tiny.SETTINGS), steps=50, random_steps=10, updates_per_step=0.5)


def set_up(seeds=(0, 1), **settings):
    method = NE(**{"events": 4} | settings)
    agent, replay = tiny.make(method, seeds)
    context = Context(agent, method, replay, tiny.generators(seeds, 9), seeds, SETTINGS)
    return agent, replay, method, context


def masks(agent, method):
    """(network, its mask [P, C, 8, 6]) of both."""
    return [(net, method.state[f"{net.name}.mask.w1"]) for net in agent.networks]


def present(agent, method):
    """Numbers of present inner weights, the set over all seeds and networks."""
    return {int(n) for _, mask in masks(agent, method) for n in mask.sum((2, 3)).flatten()}


def test_first_counts_by_hand():
    """100 of 500 weights over layers of (in + out) 20 and 50: 100/70 for each. A small layer is dense."""
    assert first_counts({"a": (10, 10), "b": (10, 40)}, 0.8) == {"a": 29, "b": 71}
    assert first_counts({"a": (2, 2), "b": (100, 100)}, 0.8) == {"a": 4, "b": 1997}
    assert first_counts({"w1": (256, 256)}, 0.8) == {"w1": 13_107}


def test_largest_breaks_ties_by_order_and_takes_a_number_for_each_matrix():
    score = torch.tensor([[1.0, 3.0], [3.0, 2.0]]).expand(1, 3, 2, 2)
    got = largest(score, torch.tensor([0, 1, 3]).view(1, 3, 1, 1))[0].flatten(1)
    assert got.int().tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 1]]


def test_a_network_begins_with_its_largest_inner_weights_and_dense_outer_layers():
    agent, _, method, _ = set_up()
    plain, _ = tiny.make(Method(), (0, 1))
    for (net, mask), whole in zip(masks(agent, method), plain.networks):
        for p in (0, 1):
            for c in range(mask.shape[1]):
                w = whole.params["w1"][p, c]
                kept = w.abs() >= w.abs().flatten().sort().values[-10]
                assert torch.equal(mask[p, c] > 0, kept) and kept.sum() == 10
                assert torch.equal(net.params["w1"][p, c], w * kept)
        assert all(torch.equal(net.params[k], p) for k, p in whole.params.items() if k != "w1")
    assert all(torch.equal(agent.target[k], p) for k, p in agent.critic.params.items())


def test_three_hidden_layers_share_by_erdos_renyi():
    method = NE()
    tiny.make(method, layers=(20, 30, 10))  # 600 and 300 weights: 180 over 50 + 40
    assert [method.state[f"critic.mask.w{i}"].sum((2, 3)).tolist() for i in (1, 2)] == [[[100, 100]], [[80, 80]]]
    with pytest.raises(ValueError, match="two hidden layers"):
        tiny.make(NE(), layers=(20,))


def counts_over_time(**settings):
    """Number of present weights after the round ends at updates 5, 10, …, 50."""
    agent, _, method, context = set_up(omega=0.0, **settings)
    found = []
    for updates in range(5, 51, 5):
        agent.updates.fill_(updates)
        for net in agent.networks:
            method.state[f"{net.name}.gradient.w1"].normal_(generator=torch.Generator().manual_seed(updates))
        method.periodic(agent, context)
        (number,) = present(agent, method)  # the same everywhere
        found.append(number)
    return found


def test_the_schedule_by_hand():
    """room 36 − 10 = 26, events at 10, 20, 30, 40. alpha 0.2: 0.1 (1 + cos(π/4)) 26 = 4.4, then 2.6, 0.8, 0."""
    assert counts_over_time(alpha=0.2) == [10, 14, 14, 16, 16, 16, 16, 16, 16, 16]
    assert counts_over_time(alpha=1.0) == [10, 32, 32, 36, 36, 36, 36, 36, 36, 36]  # 22.2; 13, but only 4 are left
    assert counts_over_time(alpha=0.0) == [10] * 10
    # events that fall between two round ends are one: at 5, 10, … of 16 every 2.5 updates
    steps = [math.floor(0.1 * (1 + math.cos(math.pi * t / 40)) * 26) for t in range(5, 41, 5)]
    assert counts_over_time(alpha=0.2, events=16) == [10 + sum(steps[:n]) for n in range(1, 9)] + [10 + sum(steps)] * 2


def test_grown_are_the_absent_weights_of_largest_gradient_and_they_start_anew():
    agent, replay, method, context = set_up(alpha=0.2, omega=0.0)
    tiny.learn(agent, replay, method, (0, 1), 10)
    before = tiny.everything(agent, method)
    method.periodic(agent, context)
    for net, mask in masks(agent, method):
        old = before[f"{net.name}.mask.w1"]
        for p in (0, 1):
            for c in range(mask.shape[1]):
                absent = [
                    (float(method.state[f"{net.name}.gradient.w1"][p, c, i, j].abs()), i, j)
                    for i in range(8)
                    for j in range(6)
                    if not old[p, c, i, j]
                ]
                want = {(i, j) for _, i, j in sorted(absent, reverse=True)[:4]}
                grown = (mask[p, c] > old[p, c]).nonzero().tolist()
                assert {tuple(ij) for ij in grown} == want and not (mask[p, c] < old[p, c]).any()
        grown = mask > old
        for kind in ("params", "m", "v"):
            now, was = getattr(net, kind)["w1"], before[f"{net.name}.{kind}.w1"]
            assert (now[grown] == 0).all() and torch.equal(now[~grown], was[~grown])


def test_the_gradient_that_growth_looks_at_is_that_of_the_last_update_absent_weights_included():
    class Spy(Method):
        def shape_grad(self, net, grads):
            self.__dict__[net.name] = grads["w1"].clone()
            return grads

    agent, replay, method, _ = set_up()
    tiny.learn(agent, replay, method, (0, 1), 3)
    (twin, _), spy = tiny.copied(agent, None), Spy()
    tiny.learn(agent, replay, method, (0, 1), 1, purpose=4)
    tiny.learn(twin, replay, spy, (0, 1), 1, purpose=4)
    assert torch.equal(method.state["critic.gradient.w1"], spy.critic)
    assert (spy.critic[method.state["critic.mask.w1"] == 0] != 0).any()


def test_pruned_are_the_smallest_weights_of_silent_units_up_to_omega_of_the_grown():
    """22 are grown, so up to floor(0.4 · 22) = 8 may go, of those at unit 1 of layer 0 or unit 2 of layer 1."""
    agent, replay, method, context = set_up(alpha=1.0, omega=0.4)
    tiny.learn(agent, replay, method, (0, 1), 10)
    g = torch.Generator().manual_seed(0)
    for net, mask in masks(agent, method):
        for i, unit in ((0, 1), (1, 2)):
            net.params[f"b{i}"].fill_(1e3 ** (i + 1))  # all others fire
            net.params[f"b{i}"][..., unit] = -1e9
        mask[:, :, 1], mask[..., 2] = 1.0, 1.0  # 13 candidates: more than may go
        net.params["w1"].copy_(torch.randn(net.params["w1"].shape, generator=g) * mask)
    before = tiny.everything(agent, method)
    for t in agent.target.values():
        t.fill_(1.0)
    method.periodic(agent, context)
    for net, mask in masks(agent, method):
        old, w = before[f"{net.name}.mask.w1"], before[f"{net.name}.params.w1"]
        for p in (0, 1):
            for c in range(mask.shape[1]):
                grown = int((mask[p, c] > old[p, c]).sum())
                assert grown == min(22, 36 - int(old[p, c].sum()))
                at_silent = sorted(
                    (abs(float(w[p, c, i, j])), i, j) for i in range(8) for j in range(6) if i == 1 or j == 2
                )
                want = {(i, j) for _, i, j in at_silent[: int(0.4 * grown)]}
                assert {tuple(ij) for ij in (mask[p, c] < old[p, c]).nonzero().tolist()} == want and want
        assert (net.params["w1"][mask == 0] == 0).all()
    assert torch.equal(agent.target["w1"], method.state["critic.mask.w1"])
    assert all((agent.target[k] == 1).all() for k in agent.target if k != "w1")


def test_nothing_is_pruned_at_units_that_fire_now_and_then():
    agent, replay, method, context = set_up(alpha=1.0, omega=0.9)
    for net in agent.networks:
        for i in (0, 1):
            net.params[f"b{i}"].fill_(10.0)
    tiny.learn(agent, replay, method, (0, 1), 10)
    old = [mask.clone() for _, mask in masks(agent, method)]
    method.periodic(agent, context)
    assert all((mask >= before).all() and (mask > before).any() for (_, mask), before in zip(masks(agent, method), old))


def test_absent_weights_stay_zero_in_critics_actor_and_target_through_updates_and_events():
    agent, replay, method, context = set_up(alpha=0.3)
    places = {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}
    for purpose in range(4):
        tiny.learn(agent, replay, method, (0, 1), 10, purpose=10 + purpose)
        for net, mask in masks(agent, method):
            for params in (net.params, *([agent.target] if net is agent.critic else [])):
                assert (params["w1"][mask == 0] == 0).all() and (params["w1"][mask > 0] != 0).all()
        method.periodic(agent, context)
    assert max(present(agent, method)) > 10
    assert places == {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}


def test_a_grown_weight_has_an_adam_as_old_as_itself():
    """Steps against torch.optim.Adam, every weight a parameter of its own whose state is deleted when it is grown."""
    agent, _, method, context = set_up((0,), alpha=0.2, omega=0.0)
    net, lr = agent.actor, 0.01
    weights = [w.clone().requires_grad_() for w in net.params["w1"].flatten()]
    adam, g = torch.optim.Adam(weights, lr=lr), torch.Generator().manual_seed(0)
    for u in range(60):
        if u == 40:
            agent.updates.fill_(10)
            old = method.state["actor.mask.w1"].clone()
            method.periodic(agent, context)
            grown = (method.state["actor.mask.w1"] > old).flatten()
            for n in grown.nonzero().flatten().tolist():
                del adam.state[weights[n]]
        grads = {k: torch.randn(p.shape, generator=g) * 10.0 ** (u % 5 - 2) for k, p in net.params.items()}
        steps = method.shape_step(net, adam_steps(net, method.shape_grad(net, grads), lr), {})
        before = torch.stack([w.detach().clone() for w in weights])
        for w, one in zip(weights, grads["w1"].flatten()):
            w.grad = one.clone()
        adam.step()
        want = torch.stack([w.detach() for w in weights]) - before
        close(steps["w1"].flatten(), want * method.state["actor.mask.w1"].flatten(), rtol=1e-3, atol=1e-5 * lr + 1e-6)
    assert grown.sum() == 4


def test_adams_reset_at_a_switch_makes_every_weight_young():
    agent, _, method, _ = set_up((0,))
    net, g = agent.actor, torch.Generator().manual_seed(0)
    step = lambda: method.shape_step(
        net, adam_steps(net, {k: torch.randn(p.shape, generator=g) for k, p in net.params.items()}, 0.01), {}
    )["w1"]
    for _ in range(30):
        step()
    net.reset_adam()
    mask = method.state["actor.mask.w1"]
    close(step().abs(), 0.01 * mask, rtol=1e-3, atol=0)  # a first step of Adam is its learning rate


def test_settings_without_sense_are_refused():
    for settings in ({"sparsity": 1.0}, {"final_sparsity": 0.9}, {"omega": 1.0}, {"alpha": -0.1}, {"events": 0}):
        with pytest.raises(ValueError, match="ne needs"):
            NE(**settings)


def test_population_of_three_is_three_populations_of_one():
    def trained(seeds):
        agent, replay, method, context = set_up(seeds, alpha=0.3)
        for purpose in range(3):
            tiny.learn(agent, replay, method, seeds, 10, purpose=10 + purpose)
            method.periodic(agent, context)
        return tiny.everything(agent, method)

    together = trained((0, 1, 2))
    assert together["actor.mask.w1"].sum() > 30
    for p in range(3):
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, trained((p,)))
