"""ANCL: both pulls in closed form; the auxiliary agent is plain SAC on the same batches; when it is copied and refreshed."""

import pytest
import tiny
import torch
from torch.testing import assert_close as close

from nbsp_lib.core.context import Context
from nbsp_lib.core.method import Method
from nbsp_lib.methods import ewc
from nbsp_lib.methods.ancl import ANCL


def context(agent, method, replay, seeds, purpose=9):
    return Context(agent, method, replay, tiny.generators(seeds, purpose), seeds, tiny.SETTINGS)


def second_position(seeds=(0, 1), layers=tiny.LAYERS, **settings):
    """An agent that has finished task 0 and begins task 1, its ANCL, the replay, its world."""
    method = ANCL(**settings)
    agent, replay = tiny.make(method, seeds, layers)
    here = context(agent, method, replay, seeds)
    method.before_task(agent, 0, "train")
    tiny.learn(agent, replay, method, seeds, 5)
    method.periodic(agent, here)
    method.after_task(agent, 0, here)
    method.before_task(agent, 1, "train")
    return agent, method, replay, here


def auxiliary(method):
    return {k.removeprefix("aux."): t for k, t in method.state.items() if k.startswith("aux.")}


def fishers(method, kind):
    return {k: t for k, t in method.state.items() if f".{kind}." in k}


@pytest.mark.parametrize("critic", [False, True])
def test_both_pulls_in_closed_form(critic):
    """2 λ F_old (θ − θ_old) + 2 λ_a F_aux (θ − θ_aux) on top of the gradient of the loss; nothing flows into the anchors."""
    method = ANCL(weight=30.0, weight_aux=7.0, critic=critic)
    agent, _ = tiny.make(method, (0, 1))
    g = torch.Generator().manual_seed(3)
    for t in method.state.values():
        if t.is_floating_point():
            t.copy_(torch.rand(t.shape, generator=g))
    before = {k: t.clone() for k, t in method.state.items()}
    for net in agent.networks:
        grads = tiny.gradients_beside_cubes(net, method)
        for k, p in net.params.items():
            want = 3 * p**2
            if net.name in method.pulled:
                s = lambda kind, name=net.name, k=k: method.state[f"{name}.{kind}.{k}"]
                want = want + 60 * s("fisher") * (p - s("anchor"))
                want = want + 14 * s("fisher_aux") * (p - method.state[f"aux.{net.name}.params.{k}"])
            close(grads[k], want)
    assert not tiny.differing(before, method.state)
    if not critic:
        assert type(method.penalty(agent.critic, agent.critic.params, None)) is float


def test_the_auxiliary_agent_is_plain_sac_on_the_same_batches():
    """Bit for bit, its networks, target, temperature, moments and clocks, while the main agent is pulled elsewhere."""
    seeds = (0, 1)
    agent, method, replay, here = second_position(refresh=3)
    twin, _ = tiny.copied(agent, None)
    method.periodic(agent, here)
    for purpose in (4, 5):
        tiny.learn(agent, replay, method, seeds, 5, purpose=purpose)
        tiny.learn(twin, replay, Method(), seeds, 5, purpose=purpose)
        method.periodic(agent, here)
    assert tiny.differing(auxiliary(method), twin.tensors()) == ["updates"]  # that is the main agent's count
    assert tiny.differing(agent.tensors(), twin.tensors())


def test_ancl_is_fine_tuning_bit_for_bit_until_its_first_task_end():
    """And draws nothing from the world until then, so that a forked position 1 leaves it where this one does."""
    results, seeds = [], (0, 1)
    for method in (Method(), ANCL(critic=True, refresh=2)):
        agent, replay = tiny.make(method, seeds)
        here = context(agent, method, replay, seeds)
        method.before_task(agent, 0, "train")
        for purpose in (3, 4):
            tiny.learn(agent, replay, method, seeds, 6, purpose=purpose)
            method.periodic(agent, here)
        results.append(agent.tensors() | {"stream": here.draw(torch.rand, 1)})
    assert not tiny.differing(*results)
    assert not tiny.differing(auxiliary(method), agent.tensors() | {"updates": torch.zeros_like(agent.updates)})
    assert all((t == 0).all() for k, t in method.state.items() if not k.startswith("aux.") and k != "refreshed")


def test_a_forked_position_one_leaves_the_same_as_one_trained_with_it():
    """What a fork brings is the agent alone: the method's state is fresh when the first task ends."""
    seeds, results = (0, 1), []
    fresh = ANCL()
    forked, rows = tiny.make(fresh, seeds)
    tiny.learn(forked, rows, Method(), seeds, 5)
    its = context(forked, fresh, rows, seeds)
    fresh.after_task(forked, 0, its)
    fresh.before_task(forked, 1, "train")
    for agent, method, replay, here in (second_position(), (forked, fresh, rows, its)):
        method.periodic(agent, here)
        tiny.learn(agent, replay, method, seeds, 5, purpose=4)
        results.append(tiny.everything(agent, method))
    assert not tiny.differing(*results)


def test_it_is_copied_when_a_position_begins_and_at_no_other_call():
    seeds = (0, 1)
    agent, method, replay, here = second_position()
    assert not tiny.differing(auxiliary(method), agent.tensors())
    method.periodic(agent, here)
    tiny.learn(agent, replay, method, seeds, 5, purpose=4)
    before = {k: t.clone() for k, t in method.state.items()}
    assert "actor.params.w0" in tiny.differing(auxiliary(method), agent.tensors())
    for purpose in ("evaluate", "resume"):
        method.before_task(agent, 0, purpose)
    assert not tiny.differing(before, method.state)
    method.before_task(agent, 0, "train")
    assert not tiny.differing(auxiliary(method), agent.tensors())
    assert all((t == 0).all() for t in fishers(method, "fisher_aux").values())
    assert all(torch.equal(t, before[k]) for k, t in fishers(method, "fisher").items())


def test_when_the_auxiliary_fisher_is_refreshed():
    """At the first round of a position, then when `refresh` updates have passed; it is that of the auxiliary networks."""
    seeds = (0, 1)
    agent, method, replay, _ = second_position(refresh=6, critic=True)
    refreshed = []
    for purpose in range(4, 9):
        old = {k: t.clone() for k, t in fishers(method, "fisher_aux").items()}
        method.periodic(agent, context(agent, method, replay, seeds, purpose))
        new = fishers(method, "fisher_aux")
        refreshed.append(bool(tiny.differing(old, new)))
        if refreshed[-1]:
            batch = context(agent, method, replay, seeds, purpose).sample(ewc.ROWS)
            for name in ("actor", "critic"):
                for k, want in ewc.fisher(Method(), getattr(method.aux, name), batch, method.aux.head).items():
                    assert torch.equal(new[f"{name}.fisher_aux.{k}"], want)
        tiny.learn(agent, replay, method, seeds, 3, purpose=purpose)
    assert refreshed == [True, False, True, False, True]


def test_the_old_fisher_is_the_first_one_and_then_half_of_each():
    method, seeds = ANCL(), (0, 1)
    agent, replay = tiny.make(method, seeds)
    found = []
    for task in (0, 1, 0):
        method.before_task(agent, task, "train")
        tiny.learn(agent, replay, method, seeds, 3, purpose=4 + task)
        batch = context(agent, method, replay, seeds, 20 + task).sample(ewc.ROWS)
        found.append(ewc.fisher(Method(), agent.actor, batch, agent.head))
        method.after_task(agent, task, context(agent, method, replay, seeds, 20 + task))
        want = found[0]
        for new in found[1:]:
            want = {k: 0.5 * want[k] + 0.5 * new[k] for k in want}
        close({k: method.state[f"actor.fisher.{k}"] for k in want}, want)
        assert all(torch.equal(method.state[f"actor.anchor.{k}"], p) for k, p in agent.actor.params.items())


def test_resumed_in_the_middle_of_a_position_it_goes_on_bit_for_bit():
    """A new method is started and gets the state copied in: its auxiliary agent is that state."""
    seeds = (0, 1)
    agent, method, replay, here = second_position(critic=True)
    method.periodic(agent, here)
    tiny.learn(agent, replay, method, seeds, 3, purpose=4)
    again = ANCL(critic=True)
    twin, _ = tiny.make(again, seeds)
    for mine, theirs in ((twin.tensors(), agent.tensors()), (again.state, method.state)):
        assert mine.keys() == theirs.keys()
        for k, t in mine.items():
            t.copy_(theirs[k])
    for one, its in ((agent, method), (twin, again)):
        tiny.learn(one, replay, its, seeds, 3, purpose=5)
    assert not tiny.differing(tiny.everything(agent, method), tiny.everything(twin, again))


def test_a_seed_is_the_same_alone_and_among_others_and_no_tensor_moves():
    results = []
    for seeds in ((1,), (0, 1, 2)):
        agent, method, replay, here = second_position(seeds, layers=(64, 48), critic=True)
        addresses = [t.data_ptr() for t in method.state.values()]
        assert len(set(addresses)) == len(addresses)
        method.periodic(agent, here)
        tiny.learn(agent, replay, method, seeds, 3, purpose=4)
        method.after_task(agent, 1, here)
        method.before_task(agent, 0, "train")
        method.periodic(agent, here)
        tiny.learn(agent, replay, method, seeds, 3, purpose=5)
        assert addresses == [t.data_ptr() for t in method.state.values()]
        results.append({k: t[seeds.index(1)] for k, t in tiny.everything(agent, method).items()})
    assert not tiny.differing(*results)


@pytest.mark.parametrize("settings", [{"weight": -1.0}, {"weight_aux": -1.0}, {"refresh": 0}], ids=str)
def test_nonsense_is_refused(settings):
    with pytest.raises(ValueError):
        ANCL(**settings)
