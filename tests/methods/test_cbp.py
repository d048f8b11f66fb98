"""CBP: utility by hand, how many units are replaced, what a replacement touches, and Adam afterwards."""

import math

import pytest
import tiny
import torch
from torch.testing import assert_close as close

from nbsp_lib.core import nets
from nbsp_lib.core.adam import adam_steps
from nbsp_lib.methods.cbp import CBP


def test_settings_without_sense_are_refused():
    for settings in ({"rho": -1.0}, {"maturity": -1}, {"eta": 1.0}, {"eta": 0.0}):
        with pytest.raises(ValueError, match="cbp needs"):
            CBP(**settings)
    with pytest.raises(ValueError, match="more than one of 8 units"):
        tiny.make(CBP(rho=0.13))
    tiny.make(CBP(rho=0.125))


def test_utility_by_hand():
    """Layer of 2 units, 2 outputs, eta 1/2; units with mean |w_out| 2 and 1, mean activity 3 and 1, then 1 and 8."""
    method = CBP(eta=0.5, maturity=0, rho=0.25)
    agent, _ = tiny.make(method, layers=(2, 3))
    net = agent.actor
    net.params["w1"][0, 0] = torch.tensor([[-1.0, 2.0, 3.0], [1.0, -2.0, 0.0]])
    activity = lambda *rows: torch.tensor(rows)[None, None]  # [1, 1, B, 2]
    lowest, due = method.choose(net, 0, activity([2.0, 0.0], [4.0, 2.0]))
    assert method.state["actor.utility0"].flatten().tolist() == [3.0, 0.5]
    assert method.state["actor.owed0"].item() == 0.5 and lowest.item() == 1 and not due.item()
    lowest, due = method.choose(net, 0, activity([0.0, 16.0], [2.0, 0.0]))
    assert method.state["actor.utility0"].flatten().tolist() == [2.5, 4.25]
    assert method.state["actor.owed0"].item() == 0.0 and lowest.item() == 0 and due.item()


def test_a_young_units_utility_is_corrected_for_its_age_and_an_immature_unit_is_safe():
    """u 1 at age 1 stands for 1 / (1 − 0.9) = 10, u 2 at age 10 for 2 / (1 − 0.9^10) = 3.07: the old one goes."""
    method = CBP(eta=0.9, maturity=0, rho=0.25)
    agent, _ = tiny.make(method, layers=(2, 3))
    silent = torch.zeros(1, 1, 4, 2)

    def lowest(u, age):
        method.state["actor.utility0"].copy_(torch.tensor(u))
        method.state["actor.age0"].copy_(torch.tensor(age))
        return method.choose(agent.actor, 0, silent)[0].item()

    assert lowest([1.0, 2.0], [0.0, 9.0]) == 1 and lowest([1.0, 2.0], [8.0, 9.0]) == 0
    method.maturity = 5
    assert lowest([0.0, 2.0], [4.0, 5.0]) == 1 and method.state["actor.owed0"].item() == 1.25 - 1


def replacements(method, updates, seeds=(0, 1)):
    """Number of replaced units of each layer, {name: [P, C]}, and the state of owed units."""
    agent, replay = tiny.make(method, seeds)
    counts = {f"{net.name}{i}": 0 for net in agent.networks for i in range(2)}
    for u in range(updates):
        tiny.learn(agent, replay, method, seeds, 1, purpose=10 + u)
        for net in agent.networks:
            for i in range(2):
                counts[f"{net.name}{i}"] += (method.state[f"{net.name}.age{i}"] == 0).sum((2, 3))
    return counts, {k: t.flatten().tolist() for k, t in method.state.items() if "owed" in k}


def test_over_time_rho_times_eligible_units_are_replaced_and_the_fraction_is_carried():
    """rho 1/64: 8 units make one replacement in 8 updates, 6 units one in 10⅔; after 40 updates 5 and 3.75."""
    counts, owed = replacements(CBP(rho=1 / 64, maturity=0), 40)
    assert all((n == want).all() for k, n in counts.items() for want in [5 if k.endswith("0") else 3])
    assert all(set(o) == {0.0 if k.endswith("0") else 0.75} for k, o in owed.items())


def test_nothing_is_owed_before_maturity():
    counts, _ = replacements(CBP(rho=1 / 64, maturity=4), 11)
    assert all((n == 0).all() for n in counts.values())
    counts, _ = replacements(CBP(rho=1 / 64, maturity=4), 12)  # eligible in updates 5 … 12
    assert all((n == k.endswith("0")).all() for k, n in counts.items())


def test_a_replacement_touches_its_unit_and_nothing_else():
    """Two agents that differ in rho only, after update 8, in which layer 0 (8 units) has just been owed one, layer 1 not."""
    seeds, states = (0, 1), []
    for rho in (0.0, 1 / 64):
        method = CBP(rho=rho, maturity=0)
        agent, replay = tiny.make(method, seeds)
        tiny.learn(agent, replay, method, seeds, 8)
        states.append(tiny.everything(agent, method))
    own = tiny.generators(seeds, 103)  # the draws of tiny.learn once more
    for _ in range(8):
        drawn = {
            k: torch.stack([torch.randn(shape, generator=g) for g in own]) for k, shape in method.noise(agent).items()
        }
    plain, mine = states
    want = {k: t.clone() for k, t in plain.items()}
    for name in ("actor.owed1", "critic.owed1"):
        want[name].fill_(0.75)
    for net in agent.networks:
        for p in seeds:
            for c in range(net.params["b0"].shape[1]):
                unit = int(plain[f"{net.name}.utility0"][p, c, 0].argmin())  # all are of one age
                normal = drawn[f"{net.name}.unit0"][p, c, :, 0]
                uniform = 2 * torch.distributions.Normal(0, 1).cdf(normal) - 1
                for kind in ("params", "m", "v"):
                    want[f"{net.name}.{kind}.w0"][p, c, :, unit] = 0
                    want[f"{net.name}.{kind}.b0"][p, c, :, unit] = 0
                    want[f"{net.name}.{kind}.w1"][p, c, unit] = 0
                for what in ("clock0", "utility0", "age0"):
                    want[f"{net.name}.{what}"][p, c, 0, unit] = 0
                column = mine[f"{net.name}.params.w0"][p, c, :, unit]
                close(column, uniform / math.sqrt(len(normal)), rtol=1e-4, atol=1e-6)
                want[f"{net.name}.params.w0"][p, c, :, unit] = column
                if net is agent.critic:
                    want["target.w0"][p, c, :, unit] = column
                    want["target.b0"][p, c, :, unit] = 0
                    want["target.w1"][p, c, unit] = 0
    assert not tiny.differing(want, mine)


def test_adam_counts_for_every_weight_since_the_younger_of_its_ends_was_reset():
    """Against one torch.optim.Adam with every weight a parameter of its own, whose state is deleted when its unit is replaced.

    Unit 2 of layer 0 before update 20, unit 1 of layer 1 before update 30: the weight between them has seen 20 of 50.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        net = nets.mlp("actor", 1, [3, 4, 3, 2], tiny.generators((0,), 1))
        net.time_units()
        method = CBP()
        method.state = {
            f"actor.{what}{i}": torch.zeros_like(net.params[f"b{i}"]) for what in ("utility", "age") for i in (0, 1)
        }
        weights = {k: [w.clone().requires_grad_() for w in p.flatten()] for k, p in net.params.items()}
        adam = torch.optim.Adam([w for ws in weights.values() for w in ws], lr=0.01)
        g = torch.Generator().manual_seed(0)
        for u in range(50):
            for at, i, unit in ((20, 0, 2), (30, 1, 1)):
                if u == at:
                    fresh = torch.rand(1, 1, net.params[f"w{i}"].shape[2], 1, generator=g)
                    method.replace(net, None, i, torch.tensor([[[[unit]]]]), torch.tensor([[[[True]]]]), fresh)
                    for k, of_unit in ((f"w{i}", (..., unit)), (f"b{i}", (..., unit)), (f"w{i + 1}", (0, 0, unit))):
                        index = (
                            torch.arange(net.params[k].numel()).view(net.params[k].shape)[of_unit].flatten().tolist()
                        )
                        for n in index:
                            del adam.state[weights[k][n]]
                            weights[k][n].data.copy_(net.params[k].flatten()[n])
            grads = {k: torch.randn(p.shape, generator=g) * 10.0 ** (u % 5 - 2) for k, p in net.params.items()}
            for k, ws in weights.items():
                for w, one in zip(ws, grads[k].flatten()):
                    w.grad = one.clone()
            adam.step()
            for k, step in adam_steps(net, grads, 0.01).items():
                net.params[k].add_(step)
        counts = [int(adam.state[weights["w1"][n]]["step"]) for n in range(12)]
        assert counts == [50, 20, 50, 50, 20, 50, 30, 20, 30, 50, 20, 50]
        for k, p in net.params.items():
            close(p.flatten(), torch.stack([w.detach() for w in weights[k]]), rtol=1e-10, atol=1e-10)
    finally:
        torch.set_default_dtype(before)


def test_population_of_three_is_three_populations_of_one_and_addresses_stay():
    def trained(seeds):
        method = CBP(rho=1 / 16, maturity=2)
        agent, replay = tiny.make(method, seeds)
        places = {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}
        tiny.learn(agent, replay, method, seeds, 25)
        assert places == {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}
        assert agent.actor.clocks[0][0].min() < 25
        return tiny.everything(agent, method)

    together = trained((0, 1, 2))
    for p in range(3):
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, trained((p,)))
