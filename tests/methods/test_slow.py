"""Slow: by how much each step is shortened, and from when on."""

import pytest
import tiny
import torch

from nbsp_lib.core.method import Method
from nbsp_lib.methods.slow import Slow


class Spy(Method):
    """Plain SAC that keeps its steps."""

    def shape_step(self, net, steps, noise):
        self.steps = {**getattr(self, "steps", {}), net.name: {k: t.clone() for k, t in steps.items()}}
        return steps


@pytest.mark.parametrize("factor", [0.3, 0.0, 1.0])
def test_one_step_after_the_task_end_is_the_free_one_times_the_factor(factor):
    """Of the critics. The actor's loss reads the moved critics, so its step has a test of its own. Adam and the temperature,
    which reads the actor as it was, go on as they would."""
    method, seeds = Slow(factor=factor), (0, 1)
    agent, replay = tiny.make(method, seeds)
    tiny.learn(agent, replay, method, seeds, 5)
    assert method.after_task(agent, 0, None) is None
    (twin, _), spy = tiny.copied(agent, None), Spy()
    before = tiny.everything(agent, method)
    tiny.learn(agent, replay, method, seeds, 1, purpose=4)
    tiny.learn(twin, replay, spy, seeds, 1, purpose=4)
    for k, step in spy.steps["critic"].items():
        assert torch.equal(agent.critic.params[k], before[f"critic.params.{k}"] + step * factor)
        assert torch.equal(agent.critic.m[k], twin.critic.m[k]) and torch.equal(agent.critic.v[k], twin.critic.v[k])
    assert torch.equal(agent.temperature.params["log_alpha"], twin.temperature.params["log_alpha"])
    moved = {
        k
        for k in tiny.differing(before, tiny.everything(agent, method))
        if k.startswith(("actor.params", "critic.params"))
    }
    assert len(moved) == (12 if factor else 0)
    if factor == 1.0:
        assert not tiny.differing(agent.tensors(), twin.tensors())


def test_the_actors_step_is_slowed_too():
    """Where the critics stand still, the actor's steps are the same but for the factor."""

    class OnlyActor(Slow):
        def shape_step(self, net, steps, noise):
            return (
                {k: s * 0 for k, s in steps.items()} if net.name == "critic" else super().shape_step(net, steps, noise)
            )

    moved = []
    for factor in (1.0, 0.25):
        method = OnlyActor(factor=factor)
        agent, replay = tiny.make(method)
        method.after_task(agent, 0, None)
        before = {k: p.clone() for k, p in agent.actor.params.items()}
        tiny.learn(agent, replay, method, (0,), 1)
        moved.append({k: p - before[k] for k, p in agent.actor.params.items()})
    for k, free in moved[0].items():
        torch.testing.assert_close(moved[1][k], 0.25 * free, rtol=1e-3, atol=1e-7)
        assert (free != 0).any()


def test_plain_sac_until_the_first_task_end_in_fixed_places():
    results = []
    for method in (Slow(), Method()):
        agent, replay = tiny.make(method, (0, 1))
        tiny.learn(agent, replay, method, (0, 1), 15)
        results.append(agent.tensors())
    assert not tiny.differing(*results)
    method = Slow()
    tiny.make(method, (0, 1))
    rate = method.state["rate"]
    place = rate.data_ptr()
    for task in (0, 1, 0):
        method.after_task(None, task, None)
        assert method.state["rate"] is rate and rate.data_ptr() == place
        assert torch.equal(rate, torch.full((2, 1, 1, 1), 0.3))  # not slowed again at each task end


def test_a_factor_outside_of_0_and_1_is_refused():
    for factor in (-0.1, 1.1):
        with pytest.raises(ValueError, match="factor"):
            Slow(factor=factor)
