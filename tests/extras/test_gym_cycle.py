"""TaskCycle: gymnasium's own checker, trajectories of the environments below it, when a position ends."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from nbsp_lib.envs import atari
from nbsp_lib.envs.metaworld import MetaWorld
from nbsp_lib.envs.sequences import benchmark_of, tasks_of
from nbsp_lib.errors import ConfigError
from nbsp_lib.extras.gym_cycle import TaskCycle


@pytest.mark.filterwarnings("ignore:.*Box observation space:UserWarning")
@pytest.mark.parametrize("sequence", ["window", "cartpole"])
def test_gymnasium_finds_nothing_wrong(sequence):
    check_env(TaskCycle(sequence, steps=10, episode=5), skip_render_check=True)


def test_an_episode_is_that_of_the_environment_below():
    cycle = TaskCycle("window", steps=6, episode=6, seed=3)
    first, info = cycle.reset(seed=7)
    below = MetaWorld("window-open", (3,), 1, 6)
    assert np.array_equal(first, below.reset(np.array([[info["goal"]]]))[0, 0])
    for t, action in enumerate(np.random.default_rng(0).uniform(-1, 1, (6, 4)).astype(np.float32)):
        obs, reward, terminated, truncated, info = cycle.step(action)
        expected, gained, success = (array[0, 0] for array in below.step(action[None, None]))
        assert np.array_equal(obs, expected) and (reward, info["success"]) == (gained, success)
        assert (terminated, truncated) == (False, t == 5)


def test_positions_follow_each_other_and_the_last_goes_on():
    cycle, seen = TaskCycle("window", steps=5, episode=3), []
    for episode in range(10):
        _, info = cycle.reset(seed=0 if not episode else None)
        seen.append((info["position"], info["task"], cycle.over))
        for _ in range(3):
            cycle.step(np.zeros(4))
    tasks = ["window-open", "window-close"] * 2
    assert seen == [(k, tasks[k], False) for k in (0, 0, 1, 1, 2, 2, 3, 3)] + [(3, tasks[3], True)] * 2
    _, info = cycle.reset(options={"position": 1})
    assert (info["position"], cycle.over) == (1, False)
    with pytest.raises(IndexError):
        cycle.reset(options={"position": 4})


def test_goals_follow_the_seed_of_reset():
    goals = []
    for seed in (1, 1, 2):
        cycle = TaskCycle("window", episode=1)
        goals.append([cycle.reset(seed=seed if k == 0 else None)[1]["goal"] for k in range(8)])
    assert goals[0] == goals[1] != goals[2] and len(set(goals[0])) > 1


def test_it_is_one_of_many_in_gymnasiums_vectors():
    envs = gymnasium.vector.SyncVectorEnv([lambda: TaskCycle("window", steps=4, episode=2)] * 2)
    first, _ = envs.reset(seed=[5, 6])
    alone, _ = TaskCycle("window").reset(seed=6)
    assert np.array_equal(first[1], alone)
    *_, cut, info = [envs.step(envs.action_space.sample()) for _ in range(2)][-1]
    assert cut.all() and list(info["task"]) == ["window-open"] * 2


def test_what_it_cannot_play_is_refused():
    with pytest.raises(ValueError, match="ale_py"):
        TaskCycle("boxing-road-runner")
    with pytest.raises(ValueError, match="at least 1"):
        TaskCycle("window", steps=0)
    with pytest.raises(ConfigError, match='nearest valid name: "window"'):
        TaskCycle("windwo")


@pytest.fixture
def without_the_repository(tmp_path, monkeypatch):
    """As from a wheel, which does not hold the table of games; nothing read before or meanwhile is remembered."""
    monkeypatch.setattr(atari, "SCORES", tmp_path / "data/atari_scores.csv")
    cached = atari.reference_scores, benchmark_of
    for each in cached:
        each.cache_clear()
    yield
    for each in cached:
        each.cache_clear()


@pytest.mark.parametrize("name, said", [("windw", 'nearest valid name: "window"'), ("pong", "in a clone only")])
@pytest.mark.parametrize("ask", [TaskCycle, tasks_of])
def test_without_the_repository_a_wrong_name_is_one_line_too(without_the_repository, ask, name, said):
    with pytest.raises(ConfigError, match=f'^sequence: .*"{name}".*{said}$'):
        ask(name)
