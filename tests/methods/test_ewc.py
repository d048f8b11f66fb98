"""EWC: its Fisher against finite differences, its pull in closed form, nothing before the first task end."""

import pytest
import tiny
import torch
from torch.testing import assert_close as close

from nbsp_lib.core import gaussian, nets
from nbsp_lib.core.categorical import Categorical
from nbsp_lib.core.context import Context
from nbsp_lib.core.method import Method
from nbsp_lib.methods import ewc
from nbsp_lib.methods.ewc import EWC

HEAD = gaussian.Gaussian(tiny.ACT)


def context(agent, method, replay, seeds, purpose=9):
    return Context(agent, method, replay, tiny.generators(seeds, purpose), seeds, tiny.SETTINGS)


def doubled(P=2):
    """Actor and critics of P seeds in float64, a batch of 7 rows."""
    gens, sizes = tiny.generators(range(P), 1), tiny.LAYERS
    made = [
        nets.mlp("actor", 1, [tiny.OBS, *sizes, 2 * tiny.ACT], gens),
        nets.mlp("critic", 2, [tiny.OBS + tiny.ACT, *sizes, 1], gens),
    ]
    for net in made:
        net.params = {k: p.double() for k, p in net.params.items()}
    g = torch.Generator().manual_seed(5)
    draw = lambda n: torch.randn(P, 7, n, generator=g, dtype=torch.float64)
    return *made, {"obs": draw(tiny.OBS), "action": draw(tiny.ACT)}


def by_differences(net, outputs, weights, eps=1e-5):
    """Mean over rows of Σ_k c (∂y_k/∂θ)², one parameter after the other; outputs() and weights [P, C, B, K]."""
    found = {k: torch.empty_like(p) for k, p in net.params.items()}
    for k, p in net.params.items():
        for at in torch.cartesian_prod(*map(torch.arange, p.shape[2:])).reshape(-1, 2):
            entry = (slice(None), slice(None), *at.tolist())  # every seed and critic at once: they share nothing
            kept, ends = p[entry].clone(), []
            for sign in (1, -1):
                p[entry] = kept + sign * eps
                ends.append(outputs())
                p[entry] = kept
            slope = (ends[0] - ends[1]) / (2 * eps)
            found[k][entry] = (weights * slope**2).sum(-1).mean(-1)
    return found


def test_the_fisher_of_the_actor_is_that_of_its_gaussian_by_finite_differences(monkeypatch):
    """(∂μ)²/σ² + 2 (∂σ)²/σ² from what Gaussian.policy returns, with σ itself, not its logarithm, differentiated."""
    monkeypatch.setattr(ewc, "FLOOR", 0.0)
    actor, _, batch = doubled()
    both = lambda: torch.cat([t[:, None] for t in moments()], -1)

    def moments():
        mean, log_std, _ = HEAD.policy(Method(), actor, actor.params, batch["obs"])
        return mean, log_std.exp()

    sigma = moments()[1][:, None]
    want = by_differences(actor, both, torch.cat([sigma**-2, 2 * sigma**-2], -1))
    close(ewc.fisher(Method(), actor, batch, HEAD), want, rtol=1e-5, atol=1e-9)
    assert min(want["w0"].amax(), want["b2"].amin()) > 0


def test_the_fisher_of_the_critics_is_the_mean_squared_slope_of_q(monkeypatch):
    monkeypatch.setattr(ewc, "FLOOR", 0.0)
    _, critic, batch = doubled()
    q = lambda: HEAD.q_values(Method(), critic, critic.params, batch["obs"], batch["action"])[0]
    close(ewc.fisher(Method(), critic, batch, HEAD), by_differences(critic, q, torch.ones(1)), rtol=1e-6, atol=1e-10)


def test_the_fishers_of_discrete_actions_by_finite_differences(monkeypatch):
    """Σ_a π(a) (∂ log π(a))² of the policy, (∂Q(s, a))² of the executed actions: one network serves as both."""
    monkeypatch.setattr(ewc, "FLOOR", 0.0)
    net, _, batch = doubled()
    head, out = Categorical(2 * tiny.ACT), lambda: Method().forward(net, net.params, batch["obs"][:, None])[0]
    batch["action"] = torch.arange(14).reshape(2, 7, 1) % 4.0
    policy = lambda: out().log_softmax(-1)
    close(ewc.fisher(Method(), net, batch, head), by_differences(net, policy, policy().exp()), rtol=1e-5, atol=1e-9)
    net.name = "critic"
    chosen = torch.nn.functional.one_hot(batch["action"].long()[..., 0], 4)[:, None]
    close(ewc.fisher(Method(), net, batch, head), by_differences(net, out, chosen), rtol=1e-6, atol=1e-10)


def test_the_fisher_has_a_floor():
    _, critic, batch = doubled()
    for k in ("w1", "b1"):
        critic.params[k][..., 0] = -1.0  # a unit that never fires, behind a first layer ≥ 0
    found = ewc.fisher(Method(), critic, batch, HEAD)
    assert all((f >= ewc.FLOOR).all() for f in found.values()) and (found["w1"][..., 0] == ewc.FLOOR).all()


@pytest.mark.parametrize("critic", [False, True])
def test_the_pull_adds_twice_weight_times_fisher_times_distance_to_the_gradient(critic):
    method, seeds = EWC(weight=30.0, critic=critic), (0, 1)
    agent, _ = tiny.make(method, seeds)
    g = torch.Generator().manual_seed(3)
    for t in method.state.values():
        t.copy_(torch.rand(t.shape, generator=g))
    assert {k.split(".")[0] for k in method.state} == ({"actor", "critic"} if critic else {"actor"})
    for net in agent.networks:
        grads = tiny.gradients_beside_cubes(net, method)
        for k, p in net.params.items():
            want = 3 * p**2
            if net.name in method.pulled:
                want = want + 60 * method.state[f"{net.name}.fisher.{k}"] * (p - method.state[f"{net.name}.anchor.{k}"])
            close(grads[k], want)
    if not critic:
        assert type(method.penalty(agent.critic, agent.critic.params, None)) is float  # nothing is computed


@pytest.mark.parametrize("critic", [False, True])
def test_ewc_is_fine_tuning_bit_for_bit_until_its_first_task_end(critic):
    results, seeds = [], (0, 1)
    for method in (Method(), EWC(critic=critic)):
        agent, replay = tiny.make(method, seeds)
        tiny.learn(agent, replay, method, seeds, 20)
        results.append(agent.tensors())
    assert not tiny.differing(*results)
    method.after_task(agent, 0, context(agent, method, replay, seeds))
    twin, _ = tiny.copied(agent, None)
    for one, its in ((agent, method), (twin, Method())):
        tiny.learn(one, replay, its, seeds, 3, purpose=4)
    changed = tiny.differing(agent.tensors(), twin.tensors())
    assert (
        "actor.params.w0" in changed and "critic.params.w0" in changed
    )  # update 2 pulls; critics see it in their targets


def test_fishers_are_added_up_over_task_ends_and_the_anchor_is_the_last_one():
    method, seeds = EWC(critic=True), (0, 1)
    agent, replay = tiny.make(method, seeds)
    sums = {}
    for task in (0, 1, 0):
        tiny.learn(agent, replay, method, seeds, 3, purpose=4 + task)
        batch = context(agent, method, replay, seeds, 20 + task).sample(ewc.ROWS)
        method.after_task(agent, task, context(agent, method, replay, seeds, 20 + task))
        for net in agent.networks:
            for k, values in ewc.fisher(Method(), net, batch, HEAD).items():
                sums[f"{net.name}.fisher.{k}"] = sums.get(f"{net.name}.fisher.{k}", 0) + values
    for net in agent.networks:
        for k, p in net.params.items():
            assert torch.equal(method.state[f"{net.name}.fisher.{k}"], sums[f"{net.name}.fisher.{k}"])
            assert torch.equal(method.state[f"{net.name}.anchor.{k}"], p)


def test_a_strong_pull_holds_the_actor():
    moved = []
    for weight in (0.0, 1e9):
        method = EWC(weight=weight)
        agent, replay = tiny.make(method)
        tiny.learn(agent, replay, method, (0,), 5)
        method.after_task(agent, 0, context(agent, method, replay, (0,)))
        tiny.learn(agent, replay, method, (0,), 150, purpose=4)
        moved.append(
            sum(float((p - method.state[f"actor.anchor.{k}"]).abs().sum()) for k, p in agent.actor.params.items())
        )
    assert moved[1] < 0.1 * moved[0]


def test_a_seed_is_the_same_alone_and_among_others_and_no_tensor_moves():
    """Wide enough that the products are those of real networks."""
    results = []
    for seeds in ((1,), (0, 1, 2)):
        method = EWC(critic=True)
        agent, replay = tiny.make(method, seeds, layers=(64, 48))
        addresses = [t.data_ptr() for t in method.state.values()]
        tiny.learn(agent, replay, method, seeds, 3)
        method.after_task(agent, 0, context(agent, method, replay, seeds))
        tiny.learn(agent, replay, method, seeds, 3, purpose=4)
        assert addresses == [t.data_ptr() for t in method.state.values()]
        results.append({k: t[seeds.index(1)] for k, t in tiny.everything(agent, method).items()})
    assert not tiny.differing(*results)


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ValueError, match="weight"):
        EWC(weight=-1.0)
