"""The batched Meta-World against its oracle: fresh, untouched Meta-World environments, bit for bit."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys

import metaworld
import numpy as np
import pytest
from metaworld.policies import ENV_POLICY_MAP

from nbsp_lib.envs.metaworld import CENTRE, UNIT, MetaWorld, goal_table, scaled, start

TASKS = ("window-open", "window-close", "drawer-open", "drawer-close", "button-press-topdown")
SEEDS = (0, 3)
EPISODE = 120


@functools.cache
def train_tasks(task, seed):
    return metaworld.MT1(f"{task}-v3", seed=seed).train_tasks


def untouched(task, seed, goal, actions):
    """Observation [T+1, 39], reward [T], success [T] of Meta-World's own class, newly built and reset as it resets."""
    environment = metaworld.env_dict.ALL_V3_ENVIRONMENTS[f"{task}-v3"]()
    environment.set_task(train_tasks(task, seed)[goal])
    observations, rewards, successes = [environment.reset()[0]], [], []
    for action in actions:
        observation, reward, terminated, truncated, info = environment.step(action)
        assert not terminated and not truncated
        observations.append(observation)
        rewards.append(reward)
        successes.append(info["success"])
    environment.close()
    return scaled(np.array(observations, np.float32)), np.array(rewards, np.float32), np.array(successes, np.float32)


def play(env, goals, actions):
    """The same from the batched environment: actions [T, P, E, 4] -> [T+1, P, E, 39], [T, P, E], [T, P, E]."""
    observations, rewards, successes = [env.reset(np.array(goals))], [], []
    for action in actions:
        observation, reward, success = env.step(action)
        observations.append(observation)
        rewards.append(reward)
        successes.append(success)
    return np.array(observations), np.array(rewards), np.array(successes)


def scripted(env, goals, steps, noise=0.1):
    """Actions [T, P, E, 4] of Meta-World's scripted policy with noise, so that the hand meets the object."""
    policy, random = ENV_POLICY_MAP[f"{env.task}-v3"](), np.random.default_rng(0)
    observation, actions = env.reset(np.array(goals)), []
    for _ in range(steps):
        action = [policy.get_action(row.astype(float)) for row in (observation * UNIT + CENTRE).reshape(-1, 39)]
        action = np.array(action).reshape(*env.shape, 4) + noise * random.normal(size=(*env.shape, 4))
        actions.append(np.clip(action, -1, 1).astype(np.float32))
        observation, _, _ = env.step(actions[-1])
    return np.array(actions)


def random_actions(shape, steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, *shape, 4)).astype(np.float32)


@pytest.mark.filterwarnings("ignore:Constant")  # a scripted policy commands more than the range allows
@pytest.mark.parametrize("task", TASKS)
def test_trajectories_equal_untouched_environments(task):
    env, goals = MetaWorld(task, SEEDS, 2, EPISODE), [[3, 9], [3, 49]]
    actions = scripted(env, goals, EPISODE)
    actions[:, 1, 1] = random_actions((), EPISODE)
    play(env, [[9, 3], [1, 3]], random_actions((2, 2), 50))  # an arbitrary episode, left unfinished
    observations, rewards, successes = play(env, goals, actions)
    assert successes[:, :, 0].max(0).all(), "the scripted policy reaches the goal"
    for p, seed in enumerate(SEEDS):
        for e, goal in enumerate(goals[p]):
            expected = untouched(task, seed, goal, actions[:, p, e])
            for got, want in zip((observations, rewards, successes), expected, strict=True):
                np.testing.assert_array_equal(got[:, p, e], want)
    env.close()


def test_positions_come_in_decimetres_from_the_centre_of_the_workspace():
    metres = np.zeros(39, np.float32)
    metres[0:4], metres[4:7], metres[36:39] = (0.1, 0.6, 0.3, 0.8), (-0.1, 0.8, 0.2), (0.0, 0.7, 0.1)
    metres[18:21], metres[22:25] = (0.09, 0.6, 0.3), (-0.1, 0.8, 0.2)
    seen = scaled(metres)
    np.testing.assert_allclose(seen[[0, 1, 2, 3, 4, 5, 6, 18]], [1, 0, 1, 0.8, -1, 2, 0, 0.9], atol=1e-6)
    np.testing.assert_allclose(seen[36:], [0, 1, -1], atol=1e-6)
    assert not seen[7:18].any() and not seen[25:36].any()  # quaternions, and the second object that is not there


def test_trajectory_does_not_depend_on_population_or_neighbours():
    actions = random_actions((2, 3), 80)
    together, alone, other = (
        MetaWorld("drawer-open", SEEDS, 3, 80),
        MetaWorld("drawer-open", SEEDS[1:], 1, 80),
        MetaWorld("drawer-open", (7,), 1, 80),
    )
    batch = play(together, [[1, 2, 3], [4, 5, 6]], actions)
    single = [alone.reset(np.array([[6]]))], [], []
    other.reset(np.array([[20]]))
    for t in range(80):  # another object of the same task steps in between
        observation, reward, success = alone.step(actions[t, 1:, 2:])
        other.step(actions[t, :1, :1])
        single[0].append(observation)
        single[1].append(reward)
        single[2].append(success)
    for got, want in zip(single, batch, strict=True):
        np.testing.assert_array_equal(np.array(got)[:, 0, 0], want[:, 1, 2])


@pytest.mark.parametrize("task", TASKS)
def test_goal_is_visible(task):
    env = MetaWorld(task, SEEDS, 2, 5)
    first = env.reset(np.array([[0, 1], [0, 1]]))
    target = np.array([attributes["_target_pos"] for _, _, attributes in env.episodes], np.float32).reshape(2, 2, 3)
    target = (target - CENTRE[36:]) / UNIT[36:]
    assert len(np.unique(target.reshape(4, 3), axis=0)) == 4
    np.testing.assert_array_equal(first[..., 36:], target)
    for action in random_actions((2, 2), 5):
        observation, _, _ = env.step(action)
        np.testing.assert_array_equal(observation[..., 36:], target)


def test_goal_tables_leave_numpys_generator_alone():
    tables = []
    for seed in (1, 2):
        np.random.seed(seed)
        before = np.random.get_state()[1].copy()
        goal_table.cache_clear(), start.cache_clear()
        env = MetaWorld("window-open", (5,), 1, 2)
        play(env, [[0]], random_actions((1, 1), 2))
        np.testing.assert_array_equal(np.random.get_state()[1], before)
        tables.append([task.data for task in goal_table("window-open", 5)])
    assert tables[0] == tables[1] and len(set(tables[0])) == 50
    assert tables[0] != [task.data for task in goal_table("window-open", 6)]


@pytest.mark.parametrize("task", ["window-close", "faucet-open", "box-close", "lever-pull"])
def test_goal_tables_are_those_of_meta_world(task):
    """Of tasks with their own way to place the hand, that draw again, and that need the simulation's frames."""
    plain = metaworld.MT1(f"{task}-v3", seed=3).train_tasks
    assert [one.data for one in goal_table(task, 3)] == [one.data for one in plain]


def fingerprint():
    """Digest of short trajectories of two tasks."""
    digest = hashlib.sha256()
    for task in TASKS[1:3]:
        for values in play(MetaWorld(task, SEEDS[:1], 2, 40), [[11, 12]], random_actions((1, 2), 40)):
            digest.update(values.tobytes())
    return digest.hexdigest()


def test_another_process_gives_the_same_and_needs_no_display():
    program = "import sys, test_envs; print(test_envs.fingerprint(), 'OpenGL' in sys.modules)"
    folder = os.path.dirname(os.path.abspath(__file__))
    tests = os.path.dirname(folder)
    path = os.pathsep.join([folder, tests, os.path.dirname(tests), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "5"}
    answer = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [fingerprint(), "False"]


def test_step_clips_and_returns_new_float32_arrays():
    env = MetaWorld("window-close", (0,), 2, 3)
    first = env.reset(np.array([[4, 4]]))
    action = np.array([[[3, -1, 0.5, -7], [1, -1, 0.5, -1]]], np.float32)
    kept = env.step(action)
    copies = [values.copy() for values in kept]
    env.step(action)
    for values, copy, shape in zip(kept, copies, ((1, 2, 39), (1, 2), (1, 2)), strict=True):
        assert values.dtype == np.float32 and values.shape == shape
        np.testing.assert_array_equal(values, copy)
        np.testing.assert_array_equal(values[:, 0], values[:, 1])
    assert first.dtype == np.float32 and first.shape == (1, 2, 39)


def test_errors_name_the_cause():
    with pytest.raises(ValueError, match="'window-open'"):
        MetaWorld("windw-open", (0,), 1, 10)
    for episode in (0, 501):
        with pytest.raises(ValueError, match="episode"):
            MetaWorld("window-open", (0,), 1, episode)
    with pytest.raises(ValueError, match="at least one"):
        MetaWorld("window-open", (), 1, 10)
    env, still = MetaWorld("window-open", (0,), 1, 2), np.zeros((1, 1, 4), np.float32)
    with pytest.raises(RuntimeError, match="reset first"):
        env.step(still)
    for goals in ([[50]], [[-1]], [[0.0]], [[0, 1]]):
        with pytest.raises(ValueError, match="goals"):
            env.reset(np.array(goals))
    env.reset(np.array([[0]]))
    with pytest.raises(ValueError, match="finite"):
        env.step(still + np.nan)
    with pytest.raises(ValueError, match="shape"):
        env.step(still[0])
    env.step(still), env.step(still)
    with pytest.raises(RuntimeError, match="2 steps are over"):
        env.step(still)
