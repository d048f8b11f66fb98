"""Episodes that end at their first success: the success of whole ones, from fewer steps."""

from __future__ import annotations

import numpy as np
import pytest

from nbsp_lib.envs.metaworld import MetaWorld, Simulator
from nbsp_lib.results.measure import UntilSuccess, measure
from nbsp_lib.runs.state import load_agent, read_run
from nbsp_lib.training.rollout import play

SHIPPED = "data/checkpoints/window/nbsp"


@pytest.mark.parametrize("task", ["window-open", "window-close"])  # of this network, one kept and one in training
def test_the_success_is_that_of_whole_episodes_from_fewer_steps(task, monkeypatch):
    taken, step = [], Simulator.step
    monkeypatch.setattr(Simulator, "step", lambda *arguments: taken.append(1) or step(*arguments))
    train = read_run(SHIPPED)["config"]["train"]
    agent, method = load_agent(SHIPPED, 4, [0, 1])
    whole = play(agent, task, [0, 1], 6, train, method=method)
    steps = len(taken)
    assert measure(agent, task, [0, 1], 6, train, method=method) == whole.outcome()[0].tolist()
    # up to and with the first success, and whole where there is none
    first = [np.flatnonzero(episode)[:1] for episode in whole.success.reshape(12, -1).numpy()]
    assert any(len(found) for found in first)
    assert len(taken) - steps == sum(found[0] + 1 if len(found) else train["episode"] for found in first)


def test_after_a_success_an_environment_stands_still_until_the_next_episode():
    plain, until = (make("button-press-topdown-wall", (0,), 2, 3) for make in (MetaWorld, UntilSuccess))
    goals = np.array([[0, 1]])
    assert np.array_equal(plain.reset(goals), until.reset(goals))
    until.reached[1] = np.full(39, 7.0)  # as if the second had succeeded
    action = np.full((1, 2, 4), 0.5)
    (expected, reward, _), found = plain.step(action), until.step(action)
    assert np.array_equal(found[0][0, 0], expected[0, 0]) and np.array_equal(
        found[0][:, 1], until.batch([[7.0] * 39] * 2)[:, 1]
    )
    assert found[1].tolist() == [[reward[0, 0], 0.0]] and found[2].tolist() == [[0.0, 1.0]]
    assert np.array_equal(plain.reset(goals), until.reset(goals)) and until.reached == [None, None]
