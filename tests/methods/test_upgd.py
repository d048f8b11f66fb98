"""UPGD: two weights by hand, and each part of the step alone."""

import math
from types import SimpleNamespace

import pytest
import tiny
import torch
from torch.testing import assert_close as close

from nbsp_lib.core.method import Method
from nbsp_lib.core.nets import Net
from nbsp_lib.methods.upgd import UPGD

LR = 0.1
QUIET = {"sigma": 0.0, "weight_decay": 0.0}


def set_up(params, **settings):
    """A method beside a network called actor of the given parameters."""
    net, method = Net("actor", {k: torch.as_tensor(p) for k, p in params.items()}), UPGD(**settings)
    method.start(SimpleNamespace(networks=[net]), SimpleNamespace(actor_lr=LR, critic_lr=0.7))
    return net, method


def zeros(net):
    return {f"actor.{k}": torch.zeros_like(p) for k, p in net.params.items()}


def test_two_updates_of_two_weights_by_hand():
    """One weight is a w, one a b: the maximum is over all tensors of the network."""
    beta, sigma, decay = 0.9, 0.5, 0.2
    net, method = set_up({"w0": [[[[2.0]]]], "b0": [[[[-1.0]]]]}, beta_utility=beta, sigma=sigma, weight_decay=decay)
    w, u = [2.0, -1.0], [0.0, 0.0]
    for adam, xi in (((0.1, 0.05), (0.3, -0.2)), ((-0.5, -1.0), (-1.0, 0.4))):
        g = [-step / LR for step in adam]
        u = [beta * u_ + (1 - beta) * -g_ * w_ for u_, g_, w_ in zip(u, g, w)]
        top = max(*u, 1e-12)
        want = [
            -2 * LR * (g_ + sigma * xi_) * (1 - 1 / (1 + math.exp(-u_ / top))) - LR * decay * w_
            for g_, xi_, u_, w_ in zip(g, xi, u, w)
        ]
        shape = lambda x: torch.tensor([[[[x]]]])
        steps = method.shape_step(
            net, {"w0": shape(adam[0]), "b0": shape(adam[1])}, {"actor.w0": shape(xi[0]), "actor.b0": shape(xi[1])}
        )
        close([steps["w0"].item(), steps["b0"].item()], want, rtol=1e-5, atol=1e-8)
        for i, k in enumerate(steps):
            net.params[k].add_(steps[k])
            w[i] += want[i]
            close(method.state[f"actor.utility.{k}"].item(), u[i], rtol=1e-5, atol=1e-8)
    assert u[0] < 0 < top  # a harmful weight and a useful one were among them


def test_a_weight_without_utility_takes_adams_step_and_the_best_one_about_half_of_it():
    net, method = set_up({"w0": [[[[0.0, 1.0, -1.0]]]]}, **QUIET)
    step = torch.tensor([[[[0.05, 0.05, 0.05]]]])
    shaped = method.shape_step(net, {"w0": step}, zeros(net))["w0"].flatten() / 0.05
    sigmoid = lambda x: 1 / (1 + math.exp(-x))
    close(shaped, torch.tensor([1.0, 2 * (1 - sigmoid(1)), 2 * (1 - sigmoid(-1))]))
    assert shaped[1] == pytest.approx(0.5379, abs=1e-4)


def test_where_no_utility_is_positive_steps_keep_their_sign():
    """All weights are harmful: the clamp makes their sigmoid 0, so they take twice Adam's step, towards 0."""
    net, method = set_up({"w0": [[[[3.0, 1.0, -1.0]]]]}, **QUIET)
    step = torch.tensor([[[[-0.05, -0.1, 0.02]]]])
    close(method.shape_step(net, {"w0": step}, zeros(net))["w0"], 2 * step)


def test_noise_and_decay_alone():
    """At weights 0 there is no utility and no decay; at steps 0 no utility and no gradient."""
    net, method = set_up({"w0": torch.zeros(1, 1, 2, 3)}, sigma=0.25)
    step, xi = torch.randn(2, 1, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    close(method.shape_step(net, {"w0": step}, {"actor.w0": xi})["w0"], step - LR * 0.25 * xi)
    net, method = set_up({"w0": torch.randn(1, 1, 2, 3)}, sigma=0.0, weight_decay=0.3)
    close(method.shape_step(net, {"w0": torch.zeros(1, 1, 2, 3)}, zeros(net))["w0"], -LR * 0.3 * net.params["w0"])


def test_an_update_of_sac_shapes_adams_step_of_each_critic_by_itself():
    """Against the plain step from the same batch, with one maximum for each seed and critic; the moments are Adam's own."""
    seeds, method = (0, 1), UPGD(beta_utility=0.5, sigma=0.1)
    agent, replay = tiny.make(method, seeds)
    tiny.learn(agent, replay, method, seeds, 3)
    before, (plain, _) = tiny.everything(agent, method), tiny.copied(agent, None)
    own = tiny.generators(seeds, 104)
    xi = {k: torch.stack([torch.randn(shape, generator=g) for g in own]) for k, shape in method.noise(agent).items()}
    tiny.learn(agent, replay, method, seeds, 1, purpose=4)
    tiny.learn(plain, replay, Method(), seeds, 1, purpose=4)
    lr = tiny.SETTINGS.critic_lr
    for p in seeds:
        for c in range(2):
            old = {k: before[f"critic.params.{k}"][p, c] for k in agent.critic.params}
            g = {k: (w - plain.critic.params[k][p, c]) / lr for k, w in old.items()}
            u = {k: 0.5 * before[f"critic.utility.{k}"][p, c] - 0.5 * g[k] * old[k] for k in old}
            top = max(float(t.max()) for t in u.values())
            for k, w in old.items():
                noisy = g[k] + 0.1 * xi[f"critic.{k}"][p, c]
                want = (1 - lr * 1e-3) * w - 2 * lr * noisy * (1 - torch.sigmoid(u[k] / top))
                close(agent.critic.params[k][p, c], want, rtol=1e-4, atol=1e-6)
    assert not tiny.differing(*({k: t for k, t in a.critic.tensors().items() if k[0] in "mv"} for a in (agent, plain)))


def test_settings_without_sense_are_refused():
    for settings in ({"beta_utility": 1.0}, {"sigma": -1.0}, {"weight_decay": -1.0}):
        with pytest.raises(ValueError, match="upgd needs"):
            UPGD(**settings)


def test_population_of_three_is_three_populations_of_one_and_addresses_stay():
    def trained(seeds):
        method = UPGD(sigma=0.1)
        agent, replay = tiny.make(method, seeds)
        places = {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}
        tiny.learn(agent, replay, method, seeds, 15)
        assert places == {k: t.data_ptr() for k, t in (agent.tensors() | method.state).items()}
        return tiny.everything(agent, method)

    together = trained((0, 1, 2))
    for p in range(3):
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, trained((p,)))
