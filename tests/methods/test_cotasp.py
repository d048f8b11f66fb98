"""CoTASP: the sparse codes, the gates they make, what they freeze, what a task end renews."""

import numpy as np
import pytest
import tiny
import torch
from sklearn import linear_model

from nbsp_lib.core import nets
from nbsp_lib.methods import cotasp
from nbsp_lib.methods.cotasp import CoTASP, embed, gate, lasso, renewed


def dictionaries(P, n, E, seed=0):
    D = torch.randn(P, n, E, generator=torch.Generator().manual_seed(seed))
    return D / D.norm(dim=2, keepdim=True)


def codes(e, D, weight):
    return torch.stack([lasso(e, one, weight) for one in D])


class Life(tiny.Life):
    """Positions of a CoTASP in miniature."""

    def __init__(self, seeds=(0, 1), embedding=6, **settings):
        super().__init__(CoTASP(embedding=embedding, **settings), seeds)

    def state(self, name):
        return self.method.state[f"actor.{name}"]

    def play(self, task, method=None):
        """Mean, log standard deviation, hidden activations of the actor for a task."""
        method = method or self.method
        method.before_task(self.agent, task, "evaluate")
        obs = self.replay.gather(torch.arange(20).expand(len(self.seeds), -1))["obs"]
        return self.agent.head.policy(method, self.agent.actor, self.agent.actor.params, obs)


# -- sparse codes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n, E", [(40, 60), (60, 40), (256, 384)])
@pytest.mark.parametrize("weight", [1e-3, 3e-2])
def test_codes_are_those_of_scikit_learn(n, E, weight):
    """Its Lasso divides the squared error by the number of samples, here E."""
    D, e = dictionaries(2, n, E), embed("window-open", E)
    mine = codes(e, D, weight)
    for p in range(2):
        fit = linear_model.Lasso(alpha=weight / E, fit_intercept=False, max_iter=100_000, tol=1e-10)
        theirs = fit.fit(D[p].T.double().numpy(), e.double().numpy()).coef_
        np.testing.assert_allclose(mine[p].numpy(), theirs, atol=1e-5)
        sure = np.abs(theirs) > 1e-5
        assert ((mine[p].numpy() > 0) == (theirs > 0))[sure].all() and ((mine[p] != 0).numpy() == sure).mean() > 0.99


def test_codes_satisfy_the_conditions_of_the_optimum():
    """|D (e − αD)| <= λ, with equality and the sign of α where α is not 0."""
    D, e, weight = dictionaries(3, 30, 20), embed("a", 20), 0.05
    code = codes(e, D, weight)
    pull = ((e - torch.einsum("pn,pne->pe", code, D.double()))[:, None] * D).sum(2)
    assert (pull.abs() <= weight + 1e-9).all()
    torch.testing.assert_close(pull[code != 0], weight * code.sign()[code != 0], rtol=1e-6, atol=1e-9)
    assert 0 < (code != 0).float().mean() < 0.67  # no more than E = 20 of 30


def test_codes_on_orthogonal_atoms_are_soft_thresholds():
    e = torch.tensor([0.8, -0.5, 0.01])
    torch.testing.assert_close(lasso(e, torch.eye(3), 0.1), torch.tensor([0.7, -0.4, 0.0], dtype=torch.float64))


def test_a_gate_is_the_positive_codes_but_never_too_few_units():
    code = torch.tensor([[0.3, -0.2, 0.0, 0.1] + [0.0] * 36, [0.0] * 40])  # at least 2 of 40
    correlation = torch.linspace(-1, 1, 40).expand(2, -1)
    on = gate(code, correlation)
    assert on[0].nonzero().flatten().tolist() == [0, 3] and on[1].nonzero().flatten().tolist() == [38, 39]
    code[0, 3] = 0
    assert gate(code, correlation)[0].nonzero().flatten().tolist() == [0, 39]


def test_an_embedding_depends_on_the_name_only():
    a, b = embed("window-open", 384), embed("window-close", 384)
    assert torch.equal(a, embed("window-open", 384)) and abs(a @ b) < 0.2
    torch.testing.assert_close(a.norm(), torch.tensor(1.0))


def test_the_dictionary_by_hand():
    """e = (1, 0), codes (½, ¼, 0). Atom 0 moves by (e − αD)/α_0, is cut to norm 1; atom 1 sees the new atom 0; atom 2 is rare."""
    D, code, e = (
        torch.tensor([[[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]]]),
        torch.tensor([[0.5, 0.25, 0.0]]),
        torch.tensor([1.0, 0.0]),
    )
    new = renewed(D, code[:, :, None] * code[:, None], e[:, None] * code[:, None])
    first = torch.tensor([2.0, -0.5])  # d_0 + (e − 0.5 d_0 − 0.25 d_1) / 0.5
    first = first / first.norm()
    second = 4 * (e - 0.5 * first)  # all that is left for atom 1
    second = second / second.norm().clamp_min(1)
    torch.testing.assert_close(new[0], torch.stack([first, second, torch.tensor([1.0, 0.0])]).double())


# -- gates and freezing ------------------------------------------------------------------------------------------------------
def test_units_that_are_off_are_silent_and_the_others_those_of_the_smaller_network():
    life = Life()
    life.train(0)
    net, on = life.agent.actor, [life.state(f"gate{i}")[0, 0, 0] > 0 for i in range(2)]
    mean, _, hidden = life.play(0)
    for i in range(2):
        assert 0 < on[i].sum() < len(on[i]) and not hidden[i][0, ..., ~on[i]].any() and hidden[i][0, ..., on[i]].any()
    p = {k: t[:1] for k, t in net.params.items()}
    small = {
        "w0": p["w0"][..., on[0]],
        "b0": p["b0"][..., on[0]],
        "w1": p["w1"][..., on[0], :][..., on[1]],
        "b1": p["b1"][..., on[1]],
        "w2": p["w2"][..., on[1], :],
        "b2": p["b2"],
    }
    obs = life.replay.gather(torch.arange(20).expand(2, -1))["obs"][:1, None]
    out, _ = nets.mlp_forward(net, {k: t.contiguous() for k, t in small.items()}, obs)
    torch.testing.assert_close(mean[:1], out[:, 0, :, : tiny.ACT], rtol=1e-5, atol=1e-6)


def test_the_mean_action_of_a_task_stays_bit_for_bit_while_others_are_trained():
    """Not so its log standard deviation, as in the source."""
    life = Life()
    life.train(0)
    life.finish(0)
    mean, log_std, _ = life.play(0)
    before = {k: p.clone() for k, p in life.agent.actor.params.items()}
    life.train(1, updates=20)
    life.finish(1)
    later, later_std, _ = life.play(0)
    assert torch.equal(mean, later) and not torch.equal(log_std, later_std)
    assert any(not torch.equal(before[k], life.agent.actor.params[k]) for k in ("w0", "w1"))
    first = life.state("gates0")[:, 0].clone(), life.state("gates1")[:, 0].clone()
    life.train(0)  # a revisit may find other units: φ, not the weights, is what changed
    assert torch.equal(first[0], life.state("gates0")[:, 0]) or not torch.equal(mean, life.play(0)[0])


def test_steps_are_masked_by_the_products_of_the_units_used():
    life = Life()
    steps = {k: torch.ones_like(p) for k, p in life.agent.actor.params.items()}
    free = life.method.shape_step(life.agent.actor, steps, {})
    assert all((t == 1).all() for k, t in free.items() if k != "b2")  # nothing was used yet
    used = [torch.zeros(2, w) for w in tiny.LAYERS]
    for task in (0, 1, 0):
        life.train(task, updates=2)
        life.finish(task)
        used = [torch.maximum(u, life.state(f"gates{i}")[:, task, 0, 0]) for i, u in enumerate(used)]
        got, (m0, m1) = life.method.shape_step(life.agent.actor, steps, {}), used
        assert torch.equal(got["w0"][:, 0], (1 - m0)[:, None].expand(-1, tiny.OBS, -1))
        assert torch.equal(got["b0"][:, 0, 0], 1 - m0) and torch.equal(got["b1"][:, 0, 0], 1 - m1)
        assert torch.equal(got["w1"][:, 0], 1 - m0[:, :, None] * m1[:, None])
        A = tiny.ACT
        assert (
            torch.equal(got["w2"][:, 0, :, :A], (1 - m1)[:, :, None].expand(-1, -1, A))
            and (got["w2"][..., A:] == 1).all()
        )
        assert (got["b2"][..., :A] == 0).all() and (got["b2"][..., A:] == 1).all()
    assert (life.agent.actor.params["b2"][..., : tiny.ACT] == 0).all()  # means have no bias
    critic = {k: torch.ones_like(p) for k, p in life.agent.critic.params.items()}
    assert life.method.shape_step(life.agent.critic, critic, {}) is critic


# -- boundaries --------------------------------------------------------------------------------------------------------------
def test_critics_begin_anew_with_the_next_position_and_not_before():
    life = Life()
    first = {k: p.clone() for k, p in life.agent.critic.params.items()}
    life.train(0, updates=0)
    assert not tiny.differing(first, life.agent.critic.params)  # as they were drawn
    life.train(0)
    trained = {k: p.clone() for k, p in life.agent.critic.params.items()}
    life.finish(0)
    assert not tiny.differing(trained, life.agent.critic.params)  # what is measured is what was trained
    life.method.before_task(life.agent, 1, "train")
    for k, p in life.agent.critic.params.items():
        bound = life.agent.critic.params[k.replace("b", "w")].shape[2] ** -0.5
        assert (p != trained[k]).all() and (p != first[k]).all() and p.abs().max() <= bound
        assert torch.equal(p, life.agent.target[k])
    for net in life.agent.networks:
        assert not any(t.any() for t in (*net.m.values(), *net.v.values(), *(clock for clock, _ in net.clocks)))


def test_a_task_end_teaches_the_dictionary_and_a_revisit_is_coded_with_it():
    life = Life(embedding=20)  # more dimensions than atoms: something is left to learn
    e, D = embed("a", 20), life.state("dictionary0").clone()
    life.train(0, updates=1)
    code = life.state("code0").clone()
    torch.testing.assert_close(code, codes(e, D, 1e-3).float())
    life.finish(0)
    A, B = code[:, :, None] * code[:, None], e[:, None] * code[:, None]
    torch.testing.assert_close(life.state("A0"), A)
    torch.testing.assert_close(life.state("B0"), B)
    torch.testing.assert_close(life.state("dictionary0"), renewed(D, A, B).float())
    error = lambda D: (e - torch.einsum("pn,pne->pe", code, D)).norm(dim=1)
    assert (error(life.state("dictionary0")) < error(D)).all()
    life.train(1, updates=1)
    life.finish(1)
    life.train(0, updates=1)
    torch.testing.assert_close(life.state("code0"), codes(e, life.state("dictionary0"), 1e-3).float())
    assert life.state("dictionary0").norm(dim=2).max() <= 1 + 1e-6


def test_the_networks_begin_as_in_plain_sac_but_for_the_bias_of_the_means():
    plain, _ = tiny.make(cotasp.Method(), (0, 1))
    mine = Life().agent
    assert tiny.differing(plain.tensors(), mine.tensors()) == ["actor.params.b2"]
    assert torch.equal(plain.actor.params["b2"][..., tiny.ACT :], mine.actor.params["b2"][..., tiny.ACT :])


def test_what_ships_is_enough_to_play():
    life = Life()
    for task in (0, 1):
        life.train(task)
        life.finish(task)
    new = CoTASP()
    new.state = {k: life.method.state[k].half().float() for k in life.method.acts_from}
    for task in (0, 1):
        assert torch.equal(life.play(task)[0], life.play(task, new)[0])


def test_seeds_are_independent_and_addresses_stay():
    alive = {}
    for seeds in ((0, 1, 2), (2,)):
        life = Life(seeds, embedding=20)
        places = {k: t.data_ptr() for k, t in (life.agent.tensors() | life.method.state).items()}
        for task in (0, 1, 0):
            life.train(task)
            life.finish(task)
        assert places == {k: t.data_ptr() for k, t in (life.agent.tensors() | life.method.state).items()}
        alive[seeds] = {k: t[-1] for k, t in tiny.everything(life.agent, life.method).items()}
    assert not tiny.differing(*alive.values())


def test_what_makes_no_sense_is_refused():
    for settings in ({"sparsity": 0.0}, {"embedding": 0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            CoTASP(**settings)
