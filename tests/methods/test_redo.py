"""ReDo: which units are recycled, what a recycled unit is, what is left alone, and when it happens."""

import math

import pytest
import tiny
import torch
from torch.testing import assert_close as close

from nbsp_lib.core.context import Context
from nbsp_lib.methods.redo import ReDo


class WholeReplay(Context):
    """Its sample is all recent rows, so that what is silent on it is known."""

    def sample(self, n):
        return self.replay.gather(torch.arange(tiny.ROWS).expand(len(self.seeds), -1))


def trained(seeds=(0, 1), updates=8, **settings):
    """An agent in mid-training, with units 1 and 4 of layer 0 and unit 2 of layer 1 dead everywhere, its method and world."""
    method = ReDo(**{"every": 1} | settings)
    agent, replay = tiny.make(method, seeds)
    tiny.learn(agent, replay, method, seeds, updates)
    for params in (agent.actor.params, agent.critic.params, agent.target):
        params["b0"][..., [1, 4]] = -100.0
        params["b1"][..., 2] = -100.0
    return agent, method, WholeReplay(agent, method, replay, tiny.generators(seeds, 9), seeds, tiny.SETTINGS)


def inputs(agent, context):
    batch = context.sample(0)
    return {"actor": batch["obs"], "critic": torch.cat([batch["obs"], batch["action"]], -1)}


def activities(net, p, c, x):
    """Activations [B, W] of both hidden layers and the output, in plain matrix products."""
    params, found = {k: t[p, c] for k, t in net.params.items()}, []
    for i in range(2):
        x = (x @ params[f"w{i}"] + params[f"b{i}"]).clamp_min(0)
        found.append(x)
    return found, x @ params["w2"] + params["b2"]


def dormant(agent, context, threshold):
    """{(network, p, c, layer): list of units} by the formula of the paper, one unit at a time."""
    found = {}
    for net in agent.networks:
        for p in range(len(context.seeds)):
            for c in range(net.params["b0"].shape[1]):
                for i, h in enumerate(activities(net, p, c, inputs(agent, context)[net.name][p])[0]):
                    size = [h[:, j].mean().item() for j in range(h.shape[1])]
                    mean = sum(size) / len(size)
                    found[net.name, p, c, i] = [j for j, s in enumerate(size) if s / (mean + 1e-9) <= threshold]
    return found


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_dormant_units_are_recycled_and_nothing_else_is_touched(threshold):
    agent, method, context = trained(threshold=threshold)
    units, before = dormant(agent, context, threshold), tiny.everything(agent, method)
    method.periodic(agent, context)
    after = tiny.everything(agent, method)
    want = {k: t.clone() for k, t in before.items()}
    want["last"].copy_(agent.updates)
    for (name, p, c, i), js in sorted(units.items(), key=lambda item: -item[0][3]):
        assert {1, 4} <= set(js) if i == 0 else 2 in js
        n_in = after[f"{name}.params.w{i}"].shape[2]
        for j in js:
            want[f"{name}.clock{i}"][p, c, 0, j] = 0
            for kind in ("m", "v"):
                want[f"{name}.{kind}.w{i}"][p, c, :, j] = want[f"{name}.{kind}.b{i}"][p, c, :, j] = 0
                want[f"{name}.{kind}.w{i + 1}"][p, c, j] = 0
            for nets in (f"{name}.params", "target")[: 1 + (name == "critic")]:
                for kind in "wb":
                    fresh = after[f"{name}.params.{kind}{i}"][p, c, :, j]
                    assert fresh.abs().max() <= 1 / math.sqrt(n_in) and fresh.any()
                    want[f"{nets}.{kind}{i}"][p, c, :, j] = fresh
                want[f"{nets}.w{i + 1}"][p, c, j] = 0
    assert not tiny.differing(want, after)
    assert len({tuple(js) for js in units.values()}) > 1 or threshold == 0


def test_recycling_silent_units_leaves_every_output_as_it_was():
    agent, method, context = trained(threshold=0.0)
    nets = [(agent.actor, agent.actor.params), (agent.critic, agent.critic.params), (agent.critic, agent.target)]
    outputs = lambda: [
        method.forward(net, params, inputs(agent, context)[net.name][:, None])[0] for net, params in nets
    ]
    before, weights = outputs(), agent.actor.params["w0"].clone()
    for k, t in agent.target.items():  # silent in the target means silent in it, too
        t.copy_(agent.critic.params[k])
    before[2] = outputs()[2]
    method.periodic(agent, context)
    close(outputs(), before, rtol=1e-6, atol=1e-7)
    assert not torch.equal(weights, agent.actor.params["w0"])


def test_new_weights_are_uniform_as_at_the_start():
    """All units of 30 seeds recycled: mean 0, second moment a third of the squared bound."""
    agent, method, context = trained(range(30), updates=1, threshold=1e9)
    method.periodic(agent, context)
    drawn = torch.cat([(agent.critic.params[f"{kind}0"] * math.sqrt(tiny.OBS + tiny.ACT)).flatten() for kind in "wb"])
    assert drawn.abs().max() <= 1 and abs(drawn.mean()) < 0.03 and abs(drawn.pow(2).mean() - 1 / 3) < 0.02
    assert all((net.params["w1"] == 0).all() and (net.params["w2"] == 0).all() for net in agent.networks)


def test_it_happens_at_the_first_round_end_after_every_so_many_updates():
    agent, method, context = trained((0,), every=1000)
    asked = []
    context.sample = lambda n: asked.append((int(agent.updates), n)) or WholeReplay.sample(context, n)
    for updates in range(0, 4001, 400):
        agent.updates.fill_(updates)
        method.periodic(agent, context)
        method.periodic(agent, context)  # a second call at the same place does nothing
    assert asked == [(1200, 256), (2400, 256), (3600, 256)] and method.state["last"].tolist() == [[3600]]


def test_settings_without_sense_are_refused():
    for settings in ({"threshold": -0.1}, {"every": 0}):
        with pytest.raises(ValueError, match="redo needs"):
            ReDo(**settings)


def test_population_of_three_is_three_populations_of_one_and_addresses_stay():
    def result(seeds):
        agent, method, _ = trained(seeds, threshold=0.3)
        replay = tiny.make(ReDo(), seeds)[1]
        context = Context(agent, method, replay, tiny.generators(seeds, 9), seeds, tiny.SETTINGS)
        places = {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}
        method.periodic(agent, context)
        assert agent.actor.clocks[0][0].min() == 0
        tiny.learn(agent, replay, method, seeds, 8, purpose=4)
        assert places == {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}
        return tiny.everything(agent, method)

    together = result((0, 1, 2))
    for p in range(3):
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, result((p,)))
