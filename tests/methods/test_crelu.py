"""CReLU: sizes of both widths, and the network against one written with torch.nn."""

import pytest
import tiny
import torch
from torch import nn
from torch.testing import assert_close as close

from nbsp_lib.core import plasticity, sac
from nbsp_lib.methods.crelu import CReLU
from nbsp_lib.training import rollout

BOTH = pytest.mark.parametrize("double", [False, True])


def count(net):
    return sum(p[0, 0].numel() for p in net.params.values())


def test_a_network_has_about_half_or_twice_the_parameters():
    """Layers (8, 6) by hand: halved 5·4+4 + 8·3+3 + 6·4+4, doubled 5·8+8 + 16·6+6 + 12·4+4; and the networks of the paper."""
    for double, actor, critic in ((False, 79, 66), (True, 202, 179)):
        agent, _ = tiny.make(CReLU(double))
        assert (count(agent.actor), count(agent.critic)) == (actor, critic)
    sizes, g = [39, 256, 256, 8], tiny.generators((0,), 1)
    assert [count(CReLU(double).build("actor", 1, sizes, g)) for double in (False, True)] == [40_072, 145_672]


def test_an_odd_width_cannot_be_halved():
    with pytest.raises(ValueError, match="odd"):
        tiny.make(CReLU(), layers=(8, 7))
    tiny.make(CReLU(double=True), layers=(8, 7))


@BOTH
def test_weights_are_drawn_within_the_bound_of_the_concatenated_width(double):
    agent, _ = tiny.make(CReLU(double), range(20))
    for net in agent.networks:
        for i in range(3):
            w = net.params[f"w{i}"]
            bound = w.shape[2] ** -0.5
            assert 0.97 * bound < w.abs().max() <= bound and net.params[f"b{i}"].abs().max() <= bound
            assert (
                w.shape[2] == ([net.params["w0"].shape[2], 16, 12] if double else [net.params["w0"].shape[2], 8, 6])[i]
            )


class Plain(nn.Module):
    """One network of one seed."""

    def __init__(self, params, p, c):
        super().__init__()
        self.layers = nn.ModuleList()
        for i in range(3):
            w, b = params[f"w{i}"][p, c], params[f"b{i}"][p, c, 0]
            self.layers.append(nn.Linear(*w.shape))
            self.layers[-1].weight.data, self.layers[-1].bias.data = w.T.clone(), b.clone()

    def forward(self, x):
        kept = []
        for layer in self.layers[:-1]:
            z = layer(x)
            x = torch.cat([torch.relu(z), torch.relu(-z)], -1)
            x.retain_grad()
            kept.append(x)
        return self.layers[-1](x), kept


@BOTH
def test_outputs_activations_and_derivatives_are_those_of_torch_nn(double):
    """The derivative by the probe is that by the activations, as nets.mlp_forward promises."""
    method, seeds = CReLU(double), (0, 1)
    agent, replay = tiny.make(method, seeds)
    batch = replay.gather(torch.arange(20).expand(2, -1))
    x = torch.cat([batch["obs"], batch["action"]], -1)
    _, hidden = method.forward(agent.critic, agent.critic.params, x[:, None])
    assert [h.shape[-1] for h in hidden] == [w * (1 + double) for w in tiny.LAYERS]
    probe = [torch.zeros_like(h) for h in hidden]
    loss = lambda params, probe: (
        (q := method.forward(agent.critic, params, x[:, None], probe))[0].sin().sum((1, 2, 3)),
        q,
    )
    grads, blame, (out, hidden) = sac.gradients(agent.critic, loss, probe)
    for p in seeds:
        for c in range(2):
            plain = Plain(agent.critic.params, p, c)
            want, kept = plain(x[p])
            want.sin().sum().backward()
            close(out[p, c], want)
            for i in range(2):
                close(hidden[i][p, c], kept[i])
                close(blame[i][p, c], kept[i].grad)
            for i, layer in enumerate(plain.layers):
                close(grads[f"w{i}"][p, c], layer.weight.grad.T, rtol=1e-4, atol=1e-6)
                close(grads[f"b{i}"][p, c, 0], layer.bias.grad, rtol=1e-4, atol=1e-6)


@BOTH
def test_half_of_the_activations_fire_whatever_was_learned(double):
    method = CReLU(double)
    agent, replay = tiny.make(method, (0, 1))
    tiny.learn(agent, replay, method, (0, 1), 10)
    _, hidden = method.forward(
        agent.actor, agent.actor.params, replay.gather(torch.arange(60).expand(2, -1))["obs"][:, None]
    )
    close(plasticity.active_fraction(hidden), torch.full((2, 1), 0.5), rtol=1e-6, atol=0)
    assert all((h.unflatten(-1, (2, -1)).amin(-2) == 0).all() for h in hidden)


def test_a_silenced_activation_is_one_whose_outgoing_weights_are_gone():
    """What rollout.silenced does to a network counts activations as forward returns them: sides, not linear units."""
    agent, replay = tiny.make(CReLU())
    off = [torch.zeros(1, 1, 1, w, dtype=torch.bool) for w in tiny.LAYERS]
    off[0][..., 5] = True  # the negative side of unit 1
    params = rollout.silenced(agent.actor, off)
    x = replay.gather(torch.arange(20)[None])["obs"][:, None]
    (_, (first, second)), (_, (_, want)) = (CReLU().forward(agent.actor, p, x) for p in (params, agent.actor.params))
    assert first[..., 5].any() and not torch.equal(second, want)
    kept = first.masked_fill(off[0], 0.0)
    z = kept @ agent.actor.params["w1"] + agent.actor.params["b1"]
    close(second, torch.cat([z, -z], -1).relu())


def test_population_of_three_is_three_populations_of_one():
    def trained(seeds):
        method = CReLU()
        agent, replay = tiny.make(method, seeds)
        tiny.learn(agent, replay, method, seeds, 10)
        return tiny.everything(agent, method)

    together = trained((0, 1, 2))
    for p in range(3):
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, trained((p,)))
