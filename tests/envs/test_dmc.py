"""The DeepMind Control Suite in one batched step: trajectories of the plain suite, sizes as promised, seeds alone, bad input."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tiny_run
from dm_control import suite

from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.envs.dmc import DMC, DOMAINS, TASKS, CartPole, domain, flat, sizes
from nbsp_lib.envs.performance import performed
from nbsp_lib.envs.sequences import SEQUENCES, benchmark_of


def actions(shape, steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, *shape)).astype(np.float32)


def play(env, goals, acts):
    """Observations, first one included, and rewards."""
    seen, rewards = [env.reset(np.array(goals))], []
    for act in acts:
        obs, reward, success = env.step(act)
        assert np.isnan(success).all() and obs.dtype == reward.dtype == np.float32
        seen.append(obs)
        rewards.append(reward)
    return np.stack(seen), np.stack(rewards)


@pytest.mark.parametrize("task", TASKS)
def test_a_trajectory_is_that_of_the_plain_suite(task):
    """Same start, same actions, each held for as many of the suite's own steps; the reward of the last of them."""
    obs_dim, act_dim = sizes(task)
    acts = actions((2, 2, act_dim), 12)
    seen, rewards = play(benchmark([task], {}).make(task, (0, 5), 2, 30), [[0, 3], [1, 49]], acts)
    assert seen.shape == (13, 2, 2, obs_dim) and (0 <= rewards).all() and (rewards <= 1).all()
    for p, e, seed, goal in ((0, 1, 0, 3), (1, 0, 5, 1)):
        env = suite.load(*task.split("-", 1))
        assert env.action_spec().shape == (act_dim,) and env.action_spec().minimum.tolist() == [-1] * act_dim
        env.task.random.seed(np.random.SeedSequence([seed, goal]).generate_state(4))
        np.testing.assert_array_equal(seen[0, p, e], flat(env.reset().observation))
        for t, act in enumerate(acts):
            for _ in range(DOMAINS[task.split("-")[0]][2]):
                step = env.step(act[p, e])
            np.testing.assert_allclose(seen[t + 1, p, e], flat(step.observation), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(rewards[t, p, e], step.reward, rtol=1e-5, atol=1e-6)
        assert step.discount == 1 and not step.last()


def test_a_trajectory_depends_on_seed_goal_and_actions_only():
    acts = actions((2, 2, 2), 8)
    env = DMC("reacher-hard", (3, 4), 2, 8)
    first = play(env, [[7, 8], [9, 10]], acts)
    play(env, [[0, 0], [1, 1]], acts[::-1])
    again = play(env, [[7, 8], [9, 10]], acts)
    alone = play(DMC("reacher-hard", (4,), 1, 20), [[10]], acts[:, 1:, 1:])
    for a, b, c in zip(first, again, alone):
        assert np.array_equal(a, b) and np.array_equal(a[:, 1:, 1:], c)
    assert len({first[0][0, p, e].tobytes() for p in (0, 1) for e in (0, 1)}) == 4


@pytest.mark.parametrize("task", ["cartpole-balance", "cartpole-swingup"])
def test_the_cart_pole_of_all_environments_at_once_has_the_bytes_of_one_by_one(task):
    """Whole episodes: pushed at random, pushed far out to the ends of the rail, left alone."""
    plain, quick = DMC(task, (0, 7), 3, 250), CartPole(task, (0, 7), 3, 250)
    for number, push in enumerate((actions((2, 3, 1), 250), np.ones((250, 2, 3, 1)), np.zeros((250, 2, 3, 1)))):
        goals = [[number, 3, 49], [1, 2, number]]
        for slow, fast in zip(play(plain, goals, push), play(quick, goals, push), strict=True):
            assert slow.dtype == fast.dtype and slow.tobytes() == fast.tobytes()


def test_a_cart_pole_out_of_its_mind_ends_the_run():
    env = CartPole("cartpole-balance", (0,), 2, 10)
    env.reset(np.array([[0, 1]]))
    env.qvel[1][:] = np.inf
    with pytest.raises(RuntimeError, match="cartpole-balance: the state of the physics"):
        env.step(np.zeros((1, 2, 1)))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"did you mean 'walker-walk'"):
        domain("walker-wlk")
    for episode in (0, 251):
        with pytest.raises(ValueError, match=r"1..250 steps"):
            DMC("cartpole-balance", (0,), 1, episode)
    with pytest.raises(ValueError, match="at least one seed"):
        DMC("cartpole-balance", (), 1, 5)
    env = DMC("cartpole-balance", (0,), 1, 1)
    with pytest.raises(RuntimeError, match="reset first"):
        env.step(np.zeros((1, 1, 1)))
    for goals in ([[50]], [[-1]], [0], [[0.5]]):
        with pytest.raises(ValueError, match="goals must"):
            env.reset(np.array(goals))
    env.reset(np.array([[0]]))
    for action in (np.zeros((1, 1, 2)), np.full((1, 1, 1), np.nan)):
        with pytest.raises(ValueError, match="action"):
            env.step(action)
    env.step(np.full((1, 1, 1), 7.0))  # clipped
    with pytest.raises(RuntimeError, match="over"):
        env.step(np.zeros((1, 1, 1)))


def test_no_display_is_needed_and_none_is_missed():
    code = "from nbsp_lib.envs.dmc import DMC; DMC('cartpole-balance', (0,), 1, 5)"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        capture_output=True,
        text=True,
        env={"PATH": ""},
        cwd=tiny_run.SMOKE.parents[2],
    )
    assert done.returncode == 0 and "DISPLAY" not in done.stderr, done.stderr


def test_sequences_stay_within_a_domain():
    """Networks are shared by the tasks of a sequence."""
    mine = {name: tasks for name, tasks in SEQUENCES.items() if benchmark_of(tasks[0]) == "dmc"}
    assert set(mine) == set(DOMAINS)
    assert all(len({sizes(task) for task in tasks}) == 1 for tasks in mine.values())


def test_a_cycle_is_trained_and_its_performance_is_the_mean_reward(tmp_path, monkeypatch):
    """Two positions of the smoke size; alone and beside another seed the same."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    both, one = (
        tiny_run.train(tmp_path / str(seeds), seeds, population=2, sequence="cartpole") for seeds in ((0, 1), (0,))
    )
    assert tiny_run.contents(both, 0) == tiny_run.contents(one, 0)
    curves, scores = pd.read_csv(one / "curves.csv"), pd.read_csv(one / "scores.csv")
    assert curves.success.isna().all() and (scores.status == "scored").all() and (scores.masked > 0).all()
    np.testing.assert_allclose(performed(curves, 50).success, curves["return"] / 50)
