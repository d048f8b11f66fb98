"""The CPU's fast formulas against the plain ones: the same bits from the networks, torch's own Adam for the steps."""

import pytest
import tiny
import torch

from nbsp_lib.core import adam, cpu_kernels, nets

SIZES = [5, 8, 6, 3]


def network(seeds, C):
    return nets.mlp("critic", C, SIZES, tiny.generators(seeds, 1))


def derivatives(seeds, C, shared, probed, used):
    """Output, activations and every derivative of a loss; used: whether the loss also depends on the activations."""
    net = network(seeds, C)
    params = {k: p.requires_grad_() for k, p in net.params.items()}
    rows = torch.stack(
        [torch.randn(1 if shared else C, 7, 5, generator=g) for g in tiny.generators(seeds, 2)]
    ).requires_grad_()
    probe = [torch.zeros(len(seeds), C, 7, W, requires_grad=True) for W in SIZES[1:-1]] if probed else None
    out, hidden = nets.mlp_forward(net, params, rows, probe)
    loss = out.pow(2).sum() + (sum(h.pow(3).sum() for h in hidden) if used else 0)
    return [out, *hidden, *torch.autograd.grad(loss, [*params.values(), rows, *(probe or [])])]


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize("C, shared", [(1, True), (2, True), (2, False)])
def test_the_network_and_its_derivatives_bit_for_bit(monkeypatch, C, shared, probed, used):
    fast = derivatives((0, 1), C, shared, probed, used)
    monkeypatch.setattr(cpu_kernels, "usable", lambda tensor: False)
    plain = derivatives((0, 1), C, shared, probed, used)
    assert all(torch.equal(a, b) for a, b in zip(fast, plain, strict=True))


def test_only_what_is_asked_for_is_differentiated():
    net = network((0,), 2)
    net.params["w1"].requires_grad_()
    out, _ = nets.mlp_forward(net, net.params, torch.ones(1, 1, 4, 5))
    out.sum().backward()
    assert net.params["w1"].grad is not None and all(p.grad is None for k, p in net.params.items() if k != "w1")


def test_a_loss_of_the_activations_alone():
    net, rows = network((0,), 1), torch.randn(1, 1, 7, 5, generator=tiny.generators((0,), 2)[0])
    params = {k: p.requires_grad_() for k, p in net.params.items()}
    made = torch.autograd.grad(
        nets.mlp_forward(net, params, rows)[1][0].sum(),
        [params["w0"], params["w1"]],
        allow_unused=True,
        materialize_grads=True,
    )
    want = torch.autograd.grad(torch.relu(nets.linear(rows, params["w0"], params["b0"])).sum(), params["w0"])[0]
    assert torch.equal(made[0], want) and not made[1].any()


def steps(seeds, fast, monkeypatch, rounds=6):
    """Steps [round][name] of a network whose seeds get gradients of their own, and what its moments and clock became."""
    with monkeypatch.context() as patch:
        if not fast:
            patch.setattr(adam, "usable", lambda tensor: False)
        net, made, gens = network(seeds, 2), [], tiny.generators(seeds, 3)
        for _ in range(rounds):
            grads = {
                k: torch.stack([torch.randn(p.shape[1:], generator=g) for g in gens]) for k, p in net.params.items()
            }
            made.append(adam.adam_steps(net, grads, 1e-2))
        return made, net


def test_adam_is_the_plain_formula_and_seeds_are_independent(monkeypatch):
    (fast, net), (plain, same) = (steps((0, 1), fast, monkeypatch) for fast in (True, False))
    torch.testing.assert_close(fast, plain, rtol=2e-5, atol=1e-9)
    for kind in ("m", "v"):
        torch.testing.assert_close(getattr(net, kind), getattr(same, kind), rtol=1e-6, atol=1e-12)
    assert torch.equal(net.clocks[0][0], torch.full((2, 1, 1, 1), 6.0))
    alone, _ = steps((1,), True, monkeypatch)
    assert all(torch.equal(a[k][1:], b[k]) for a, b in zip(fast, alone) for k in a)


def test_seeds_with_clocks_of_their_own(monkeypatch):
    """A seed whose clock stands elsewhere takes the step of its own clock, as torch's Adam of its own would."""
    net = network((0, 1), 2)
    net.clocks[0][0][1] = 99.0
    grads = {k: torch.ones_like(p) for k, p in net.params.items()}
    for t in (net.m, net.v):
        for k in t:
            t[k].fill_(0.5)
    made = adam.adam_steps(net, grads, 1e-2)
    for seed, count in enumerate((1, 100)):
        m, v = 0.9 * 0.5 + 0.1, 0.999 * 0.5 + 0.001
        want = -1e-2 * (m / (1 - 0.9**count)) / ((v / (1 - 0.999**count)) ** 0.5 + 1e-8)
        assert all(torch.allclose(step[seed], torch.tensor(want), rtol=1e-5) for step in made.values())


def test_a_first_moment_of_its_own(monkeypatch):
    """The fast way is the plain formula; given the same gradients twice it changes no bit."""

    def made(fast, share):
        with monkeypatch.context() as patch:
            if not fast:
                patch.setattr(adam, "usable", lambda tensor: False)
            net, found, g = network((0, 1), 2), [], tiny.generators((0,), 3)[0]
            for _ in range(6):
                grads = {k: torch.randn(p.shape, generator=g) for k, p in net.params.items()}
                first = None if share is None else {k: share * t for k, t in grads.items()}
                found.append(adam.adam_steps(net, grads, 1e-2, first=first))
            return found, net

    (fast, net), (plain, same) = made(True, 0.1), made(False, 0.1)
    torch.testing.assert_close(fast, plain, rtol=2e-5, atol=1e-9)
    torch.testing.assert_close(net.v, same.v, rtol=1e-5, atol=1e-12)
    (one, net), (two, same) = made(True, 1.0), made(True, None)
    assert all(torch.equal(a[k], b[k]) for a, b in zip(one, two) for k in a)
    assert all(torch.equal(net.v[k], same.v[k]) for k in net.v)
    frozen, _ = made(True, 0.0)
    assert not any(step.any() for steps in frozen for step in steps.values())


def test_clocks_of_single_units_take_the_plain_way(monkeypatch):
    net = network((0, 1), 1)
    net.clocks = [(torch.zeros(2, 1, 1, 8), ["w0", "b0"]), (torch.zeros(2, 1, 1, 1), ["w1", "b1", "w2", "b2"])]
    called, real = [], adam.fused_steps
    monkeypatch.setattr(adam, "fused_steps", lambda net, names, *rest: called.append(names) or real(net, names, *rest))
    adam.adam_steps(net, {k: torch.ones_like(p) for k, p in net.params.items()}, 1e-2)
    assert called == [["w1", "b1", "w2", "b2"]]
