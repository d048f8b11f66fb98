"""Quiet: the penalty by an independent formula, neutral before the first task end, frozen ends, and silence that lasts."""

import pytest
import tiny
import torch
import torch.nn.functional as F

from nbsp_lib.core import sac
from nbsp_lib.core.categorical import Categorical
from nbsp_lib.methods.nbsp import NBSP
from nbsp_lib.methods.quiet import Quiet
from nbsp_lib.methods.trial import HEADS, Trial

PROTECT_ACTIVE = {"share": 1.0, "alpha": 0.0, "score": "active", "ends": "both", "replay_every": 0}


def ended(method, seeds=(0, 1)):
    """An agent a few updates after whose start a task ended in a rollout where every third neuron of a layer was silent."""
    agent, replay = tiny.make(method, seeds)
    tiny.learn(agent, replay, method, seeds, 5)
    method.after_task(agent, 0, tiny.random_world(agent, seeds))
    return agent, replay


def by_hand(net, inputs, silent):
    """Σ over silent neurons of their mean activation, of one seed's network c at a time, in float64 by torch's own layers."""
    total = torch.zeros(len(inputs), dtype=torch.float64)
    for p in range(len(inputs)):
        for c in range(net.params["b0"].shape[1]):
            x = inputs[p].double()
            for i in range(net.depth - 1):
                x = F.linear(x, net.params[f"w{i}"][p, c].double().T, net.params[f"b{i}"][p, c, 0].double()).relu()
                total[p] += sum(x[:, j].sum() / len(x) for j in range(x.shape[1]) if silent(j))
    return total


@pytest.mark.parametrize("weight", [0.0, 0.5, 100.0])
def test_the_penalty_is_the_activation_of_the_silent_neurons_on_stored_states(weight):
    method = Quiet(weight)
    agent, replay = ended(method)
    old = replay.gather(tiny.draws(replay, (0, 1), 1)[1][0])
    inputs = {"actor": old["obs"], "critic": torch.cat([old["obs"], old["action"]], -1)}
    for net in agent.networks:
        want = weight * by_hand(net, inputs[net.name], lambda j: j % 3 == 0)  # random_world silences these
        assert (want > 0).all() or not weight
        torch.testing.assert_close(method.penalty(net, net.params, old).double(), want, rtol=1e-5, atol=1e-6)


def test_rewards_of_stored_rows_are_not_asked_for():
    method = Quiet()
    agent, replay = ended(method)
    old = replay.gather(tiny.draws(replay, (0, 1), 1)[1][0])
    for net in agent.networks:
        assert (method.penalty(net, net.params, {k: old[k] for k in ("obs", "action")}) > 0).all()
    _, stored, _ = tiny.draws(replay, (0, 1), 1)
    assert not torch.equal(method.rows(agent.updates, stored[0] * 0, stored[0]), stored[0])  # learns from recent rows


def test_before_the_first_task_end_and_without_a_scored_rollout_it_is_neutral():
    """A seed whose goal metric is constant has no masks, so all its neurons would count as silent: its penalty stays 0."""
    method = Quiet()
    agent, replay = tiny.make(method, (0, 1))
    old = replay.gather(tiny.draws(replay, (0, 1), 1)[1][0])
    assert all((method.penalty(net, net.params, old) == 0).all() for net in agent.networks)
    world = tiny.random_world(agent, (0, 1))
    world.goal[1] = 1.0
    method.after_task(agent, 0, world)
    for net in agent.networks:
        penalty = method.penalty(net, net.params, old)
        assert penalty[0] > 0 and penalty[1] == 0


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_without_weight_it_is_protect_active_bit_for_bit(head):
    one, other = (Trial(make, (0, 1), head).live() for make in (lambda: Quiet(0.0), lambda: NBSP(**PROTECT_ACTIVE)))
    assert not tiny.differing(one.agent.tensors(), other.agent.tensors())
    awake = Trial(Quiet, (0, 1), head).live()
    assert tiny.differing(awake.agent.tensors(), other.agent.tensors())


def test_the_penalty_moves_no_frozen_weight():
    """Both ends of what fired stay to the last bit over updates with the penalty; its own gradient by what leaves a silent neuron
    of the last hidden layer, and by the output layer, is 0."""
    method, seeds = Quiet(), (0, 1)
    agent, replay = ended(method, seeds)
    before = tiny.everything(agent, method)
    tiny.learn(agent, replay, method, seeds, 20, purpose=4)
    for net in agent.networks:
        for i in range(net.depth - 1):
            fired = torch.arange(net.params[f"b{i}"].shape[-1]) % 3 > 0
            at = f"{net.name}.params."
            for name, side in (
                (f"w{i}", (..., fired)),
                (f"b{i}", (..., fired)),
                (f"w{i + 1}", (..., fired, slice(None))),
            ):
                assert torch.equal(net.params[name][side], before[at + name][side])
            assert not torch.equal(net.params[f"w{i}"][..., ~fired], before[at + f"w{i}"][..., ~fired])
        old = replay.gather(tiny.draws(replay, seeds, 1)[1][0])
        nothing = lambda params, probe: (next(iter(params.values())).new_zeros(2), None)
        grads, _, _ = sac.gradients(net, nothing, (), lambda params: method.penalty(net, params, old))  # noqa: B023
        last = f"w{net.depth - 1}"
        assert (grads[last] == 0).all() and grads["w0"].abs().max() > 0


def test_neurons_stay_more_silent_on_old_states_than_under_protect_active():
    """The same draws after the task end, with the penalty and without: what it is there for."""
    awake = {}
    for name, method in (("quiet", Quiet()), ("protect", NBSP(**PROTECT_ACTIVE))):
        agent, replay = ended(method)
        tiny.learn(agent, replay, method, (0, 1), 300, purpose=4)
        old = {k: v for k, v in replay.kept(0).items() if k in ("obs", "action")}
        inputs = {"actor": old["obs"], "critic": torch.cat([old["obs"], old["action"]], -1)}
        awake[name] = {net.name: by_hand(net, inputs[net.name], lambda j: j % 3 == 0) for net in agent.networks}
    for net in ("actor", "critic"):
        assert (awake["quiet"][net] < 0.5 * awake["protect"][net]).all()


def test_discrete_actions_need_no_action_of_the_row():
    trial = Trial(Quiet, (0,), Categorical(5, 0.6)).live(1)
    old = {"obs": torch.ones(1, 4, 7), "action": torch.full((1, 4, 1), torch.nan)}
    assert (trial.method.penalty(trial.agent.critic, trial.agent.critic.params, old) >= 0).all()


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ValueError, match="weight of the penalty"):
        Quiet(-1.0)
