"""Environments in other processes: the same trajectories, errors that arrive, and no process left behind."""

import os
import signal
from dataclasses import replace

import numpy as np
import psutil
import pytest
import tiny_run

from nbsp_lib.envs.env_pool import Pool
from nbsp_lib.envs.metaworld import MetaWorld
from nbsp_lib.runs.train_run import deaf


@pytest.fixture(scope="module")
def pool():
    made = Pool(2)
    yield made
    made.close()
    assert not any(process.is_alive() for process in made.processes)


def played(env, actions, goals):
    first = env.reset(goals)
    return [first, *(part for action in actions for part in env.step(action))]


def test_the_same_trajectories(pool):
    """2 seeds × 2 environments over 2 workers, more workers than environments, and an environment beside all others."""
    rng = np.random.default_rng(0)
    goals, actions = rng.integers(0, 3, (2, 2)), rng.uniform(-1, 1, (6, 2, 2, 4)).astype(np.float32)
    single, same = (make("window-close", (4,), 1, 12) for make in (pool, MetaWorld))
    assert np.array_equal(single.reset(np.array([[5]])), same.reset(np.array([[5]])))
    ours, there = (make("window-close", (4, 0), 2, 6) for make in (MetaWorld, pool))
    assert all(np.array_equal(a, b) for a, b in zip(played(ours, actions, goals), played(there, actions, goals)))
    assert all(np.array_equal(single.step(a[:1, :1])[0], same.step(a[:1, :1])[0]) for a in actions)


def test_an_error_of_a_worker_arrives_and_the_pool_goes_on(pool):
    env = pool("window-open", (0, 1), 1, 3)
    with pytest.raises(ValueError, match="goals must lie in"):
        env.reset(np.array([[0], [50]]))
    env.reset(np.array([[0], [1]]))
    with pytest.raises(ValueError, match="not finite"):
        env.step(np.full((2, 1, 4), np.nan, np.float32))
    assert env.step(np.zeros((2, 1, 4), np.float32))[0].shape == (2, 1, 39)
    with pytest.raises(ValueError, match="did you mean"):
        pool("window-opne", (0,), 1, 3)


def test_a_worker_that_dies_is_reported():
    broken = Pool(1)
    env = broken("window-open", (0,), 1, 3)
    os.kill(broken.processes[0].pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="has died"):
        env.reset(np.array([[0]]))
    broken.close()


def test_a_signal_to_the_whole_group_leaves_them_serving():
    """As of Ctrl-C, Slurm and `timeout`: the process that trains has to save first."""
    with deaf():
        pool = Pool(1)
    assert not {signal.SIGINT, signal.SIGTERM} & signal.pthread_sigmask(signal.SIG_BLOCK, ())
    env = pool("window-open", (0,), 1, 5)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pool.processes[0].pid, number)
    assert env.reset(np.array([[0]])).shape == (1, 1, env.obs_dim)
    pool.close()


def test_training_with_workers_is_training_without(tmp_path):
    short = tiny_run.profile(steps=300, evaluations=3)
    before = set(psutil.Process().children(recursive=True))
    out = [
        tiny_run.train(tmp_path / str(workers), seeds=(0, 1), population=2, made=replace(short), workers=workers)
        for workers in (0, 2)
    ]
    assert tiny_run.contents(out[0]) == tiny_run.contents(out[1])
    # the resource tracker of multiprocessing belongs to this process and stays
    left = [p for p in set(psutil.Process().children(recursive=True)) - before if "spawn_main" in " ".join(p.cmdline())]
    assert not left
