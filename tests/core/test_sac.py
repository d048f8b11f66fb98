"""The learner against oracles: torch.optim.Adam, SAC written plainly, torch.distributions, autograd."""

import contextlib
import math
from types import SimpleNamespace

import pytest
import tiny
import torch
import torch.nn.functional as F
from plain_sac import PlainSAC
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform
from torch.testing import assert_close as close

from nbsp_lib.core import nets, sac
from nbsp_lib.core.adam import adam_steps
from nbsp_lib.core.method import Method
from nbsp_lib.methods.nbsp import NBSP


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


# The bias corrections 1 − β^t are taken in the dtype of the clock: 1 − 0.999 is known to 6e-5 in fp32.
KINDS = [(torch.float64, 1e-11), (torch.float32, 2e-4)]
DTYPES = pytest.mark.parametrize("dtype, tolerance", KINDS, ids=["fp64", "fp32"])


def small_net(P=2, C=2):
    return nets.mlp("x", C, [3, 4, 2], tiny.generators(range(P), 1))


def random_grads(net, u):
    g = torch.Generator().manual_seed(u)
    return {k: torch.randn(p.shape, generator=g) * 10.0 ** (u % 5 - 2) for k, p in net.params.items()}


def oracle(values, lr):
    values = [v.clone().requires_grad_() for v in values]
    return values, torch.optim.Adam(values, lr=lr)


def oracle_step(values, adam, grads):
    for value, grad in zip(values, grads):
        value.grad = grad.clone()
    adam.step()


@DTYPES
def test_adam_is_torch_adam(dtype, tolerance):
    with default_dtype(dtype):
        net = small_net()
        start = {k: p.clone() for k, p in net.params.items()}
        values, adam = oracle(net.params.values(), 0.01)
        for u in range(50):
            grads = random_grads(net, u)
            for k, step in adam_steps(net, grads, 0.01).items():
                net.params[k].add_(step)
            oracle_step(values, adam, grads.values())
        assert all((net.params[k] - start[k]).abs().max() > 0.01 for k in net.params)
        close(list(net.params.values()), [v.detach() for v in values], rtol=tolerance, atol=tolerance)
        assert net.clocks[0][0].tolist() == [[[[50.0]]]] * 2


@DTYPES
def test_adam_with_clocks_of_its_own_per_layer_and_per_unit(dtype, tolerance):
    """A unit whose moments and clock are reset goes on as if its own Adam had just been made."""
    with default_dtype(dtype):
        net = small_net()
        unit = torch.zeros(2, 2, 1, 4)
        net.clocks = [(unit, ["w0", "b0"]), (torch.zeros(2, 1, 1, 1), ["w1", "b1"])]
        rest, rest_adam = oracle([net.params["w1"], net.params["b1"]], 0.01)
        column = lambda t: [t["w0"][..., j : j + 1] for j in range(4)] + [t["b0"][..., j : j + 1] for j in range(4)]
        columns, columns_adam = oracle(column(net.params), 0.01)
        for u in range(50):
            if u == 20:  # unit 2 of every seed and network
                for t in (net.m["w0"], net.v["w0"], net.m["b0"], net.v["b0"], unit):
                    t[..., 2] = 0
                for value in (columns[2], columns[6]):
                    del columns_adam.state[value]
            grads = random_grads(net, u)
            for k, step in adam_steps(net, grads, 0.01).items():
                net.params[k].add_(step)
            oracle_step(rest, rest_adam, [grads["w1"], grads["b1"]])
            oracle_step(columns, columns_adam, column(grads))
        close(
            [*column(net.params), net.params["w1"], net.params["b1"]],
            [v.detach() for v in columns + rest],
            rtol=tolerance,
            atol=tolerance,
        )
        assert unit[0, 0, 0].tolist() == [50, 50, 30, 50]


@DTYPES
def test_update_is_sac_written_plainly(dtype, tolerance):
    """Ten updates of a population of two against two PlainSACs, from the same batches and noise."""
    seeds, s = (0, 1), tiny.SETTINGS
    with default_dtype(dtype):
        method = Method()
        agent, replay = tiny.make(method, seeds)
        replay.data[:, :10, replay.columns["done"]] = 1.0  # what a termination does is part of SAC
        rates = s.actor_lr, s.critic_lr, s.alpha_lr, s.gamma, s.tau
        plain = [PlainSAC(tiny.OBS, tiny.ACT, tiny.LAYERS, *rates) for _ in seeds]
        pick = lambda params, p: {k: t[p] for k, t in params.items()}
        for p, one in enumerate(plain):
            one.load({k: t[0] for k, t in pick(agent.actor.params, p).items()}, pick(agent.critic.params, p))
        for recent, stored, noise in zip(*tiny.draws(replay, seeds, 10)):
            sac.update_from_rows(agent, replay, recent, stored, {"sac": noise}, method, s)
            batch = replay.gather(recent)
            for p, one in enumerate(plain):
                drawn = {"noise_next": noise[0, p], "noise_actor": noise[1, p]}
                one.update({k: t[p] for k, t in batch.items()} | drawn)
        near = lambda a, b: close(a, b, rtol=tolerance, atol=tolerance / 10)
        for p, one in enumerate(plain):
            want = one.export()
            near({k: t[0] for k, t in pick(agent.actor.params, p).items()}, want["actor"])
            near(pick(agent.critic.params, p), want["critic"])
            near(pick(agent.target, p), want["target"])
            near(agent.temperature.params["log_alpha"][p].flatten(), one.log_alpha.detach())
        assert abs(plain[0].log_alpha.item()) > 1e-3


@pytest.mark.parametrize("layers, batch", [((8, 6), 16), ((64, 64), 128)])
def test_population_of_three_is_three_populations_of_one(layers, batch):
    """Bit for bit in all tensors after 30 updates of which the last 15 are masked and replay."""

    def trained(seeds):
        method = NBSP(replay_every=4)
        agent, replay = tiny.make(method, seeds, layers)
        tiny.learn(agent, replay, method, seeds, 15, batch)
        method.after_task(agent, 0, tiny.random_world(agent, seeds))
        tiny.learn(agent, replay, method, seeds, 15, batch, purpose=4)
        return tiny.everything(agent, method)

    together = trained((0, 1, 2))
    assert together["critic.union0"].min() < 1 and together["updates"].tolist() == [[30]] * 3
    for p in range(3):
        alone = trained((p,))
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, alone)


def policy_and_noise(P=2, B=50, scale=1.0):
    """An actor in fp64 with its mean and standard deviation [P, B, A] by hand, observations and noise."""
    agent, _ = tiny.make(Method(), range(P))
    params = {k: t * scale for k, t in agent.actor.params.items()}
    obs, noise = torch.randn(P, B, tiny.OBS), torch.randn(P, B, tiny.ACT)
    x = obs
    for i in range(2):
        x = (x @ params[f"w{i}"][:, 0] + params[f"b{i}"][:, 0]).relu()
    mean, raw = (x @ params["w2"][:, 0] + params["b2"][:, 0]).chunk(2, -1)
    return agent, params, obs, noise, mean, torch.exp(-5 + 3.5 * (torch.tanh(raw) + 1))


def test_log_probability_is_that_of_the_transformed_distribution():
    with default_dtype(torch.float64):
        torch.manual_seed(0)
        agent, params, obs, noise, mean, std = policy_and_noise()
        action, log_p, _ = agent.head.act(Method(), agent.actor, params, obs, noise)
        close(action, torch.tanh(mean + std * noise))
        want = TransformedDistribution(Normal(mean, std), TanhTransform()).log_prob(action).sum(-1, keepdim=True)
        close(log_p, want, rtol=1e-8, atol=1e-8)
        # and by the definition of a density: the slope of P(action ≤ a), which knows nothing of tanh's derivative
        below, above = (Normal(mean, std).cdf(torch.atanh(action + e)) for e in (-1e-6, 1e-6))
        close(((above - below) / 2e-6).prod(-1, keepdim=True), log_p.exp(), rtol=1e-4, atol=1e-8)
        close(agent.head.act(Method(), agent.actor, params, obs, None)[0], torch.tanh(mean), rtol=1e-12, atol=0)


def test_log_probability_stays_finite_where_the_action_rounds_to_one():
    torch.manual_seed(0)
    agent, params, obs, noise, _, _ = policy_and_noise(scale=8.0)
    params = {k: t.requires_grad_() for k, t in params.items()}
    action, log_p, _ = agent.head.act(Method(), agent.actor, params, obs, noise)
    assert (action.abs() == 1).any() and torch.isfinite(log_p).all()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(log_p.sum(), list(params.values())))


def test_target_follows_by_polyak():
    """With critics that stand still, target − critic shrinks by exactly 1 − τ per update."""
    still, n = SimpleNamespace(**{**vars(tiny.SETTINGS), "critic_lr": 0.0, "tau": 0.1}), 20
    method = Method()
    agent, replay = tiny.make(method)
    assert all(
        torch.equal(agent.target[k], p) and agent.target[k].data_ptr() != p.data_ptr()
        for k, p in agent.critic.params.items()
    )
    for t in agent.target.values():
        t.add_(1.0)
    tiny.learn(agent, replay, method, (0,), n, settings=still)
    for k, p in agent.critic.params.items():
        close(agent.target[k] - p, torch.full_like(p, 0.9**n), rtol=1e-4, atol=1e-6)


def test_blame_is_the_derivative_with_respect_to_the_activations():
    """Probes against autograd on the activations themselves, in networks written out per seed and critic."""

    class Spy(Method):
        needs_blame = True

        def after_update(self, agent, batch, noise, hidden, blame):
            self.seen = batch, hidden, blame

    def play(params, p, c, x):
        """Output and hidden activations of one network, the latter leaves of the graph above them."""
        hidden = []
        for i in range(2):
            hidden.append((x @ params[f"w{i}"][p, c] + params[f"b{i}"][p, c]).relu().requires_grad_())
            x = hidden[-1]
        return x @ params["w2"][p, c] + params["b2"][p, c], hidden

    method, seeds = Spy(), (0, 1)
    agent, replay = tiny.make(method, seeds)
    tiny.learn(agent, replay, method, seeds, 3)
    before = {net.name: {k: t.clone() for k, t in net.params.items()} for net in agent.networks}
    target = {k: t.clone() for k, t in agent.target.items()}
    alpha = agent.temperature.params["log_alpha"].exp().flatten()
    (recent,), (stored,), (noise,) = tiny.draws(replay, seeds, 1, purpose=4)
    sac.update_from_rows(agent, replay, recent, stored, {"sac": noise}, method, tiny.SETTINGS)
    batch, hidden, blame = method.seen
    for p in range(2):
        b = {k: t[p] for k, t in batch.items()}

        def action_of(obs, e, p=p):
            out, kept = play(before["actor"], p, 0, obs)
            mean, raw = out.chunk(2, -1)
            std = torch.exp(-5 + 3.5 * (torch.tanh(raw) + 1))
            u = mean + std * e
            log_p = Normal(mean, std).log_prob(u) - 2 * (math.log(2) - u - F.softplus(-2 * u))
            return torch.tanh(u), log_p.sum(-1, True), kept

        q = lambda params, c, obs, action, p=p: play(params, p, c, torch.cat([obs, action], -1))
        next_action, next_log_p, _ = action_of(b["next_obs"], noise[0, p])
        slow = torch.minimum(q(target, 0, b["next_obs"], next_action)[0], q(target, 1, b["next_obs"], next_action)[0])
        y = (b["reward"] + 0.99 * (1 - b["done"]) * (slow - alpha[p] * next_log_p)).detach()
        for c in range(2):
            value, kept = q(before["critic"], c, b["obs"], b["action"])
            for i, want in enumerate(torch.autograd.grad((value - y).pow(2).mean(), kept)):
                close(blame["critic"][i][p, c], want, rtol=1e-3, atol=1e-6)
                close(hidden["critic"][i][p, c], kept[i], rtol=1e-4, atol=1e-6)
        action, log_p, kept = action_of(b["obs"], noise[1, p])
        # the actor's loss sees the critics as they are after their step
        value = torch.minimum(*(q(agent.critic.params, c, b["obs"], action)[0] for c in range(2)))
        for i, want in enumerate(torch.autograd.grad((alpha[p] * log_p - value).mean(), kept)):
            close(blame["actor"][i][p, 0], want, rtol=1e-3, atol=1e-6)
            close(hidden["actor"][i][p, 0], kept[i], rtol=1e-4, atol=1e-6)
