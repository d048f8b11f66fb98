"""The batched Atari games against their oracles: gymnasium's AtariPreprocessing and plain ALE, bit for bit."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import ale_py
import gymnasium
import numpy as np
import pytest
import torch

from nbsp_lib.envs.atari import SCORES, Atari, normalised
from nbsp_lib.envs.emulator import Emulator, Protocol, rom

GAMES = ("alien", "bank-heist", "bowling", "boxing", "demon-attack", "freeway", "pong", "space-invaders")
EXACT = Protocol(sticky=0.0, clip_reward=False)
RAM = replace(EXACT, observation="ram")
NAMES = [action.name for action in ale_py.Action][:18]


def oracle(task, noops, **settings):
    """gymnasium's own environment, freshly made, at the start of its first game after so many no-ops."""
    name = task.title().replace("-", "")
    made = gymnasium.make(f"ALE/{name}-v5", frameskip=1, repeat_action_probability=0.0, full_action_space=True)
    env = gymnasium.wrappers.AtariPreprocessing(made, noop_max=30 if noops else 0, **settings)
    env.unwrapped._np_random = SimpleNamespace(integers=lambda low, high: noops)
    return env, env.reset()[0]


def random_actions(*shape, seed=0):
    return np.random.default_rng(seed).integers(18, size=shape)


def play(env, starts, actions):
    """First observation, then all fields of every step."""
    return [env.reset(np.array(starts)), *(field for action in actions for field in env.step(action))]


def same(a, b):
    return len(a) == len(b) and all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b))


def frames(ale, actions):
    """Points, lives and screen of each frame."""
    return [(ale.act(int(a)), ale.lives(), ale.getScreenGrayscale().tobytes()) for a in actions]


def plain(task, sticky=0.0):
    """ALE itself, with its own chance."""
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", sticky)
    ale.loadROM(rom(task))
    ale.reset_game()
    return ale


@pytest.mark.parametrize("noops", (0, 30))
@pytest.mark.parametrize("task", GAMES)
def test_pixels_points_and_lives_equal_gymnasiums(task, noops):
    """Frame by frame; from the start on, or after as many no-ops as our stream says."""
    env, actions = Atari(task, (3,), 1, replace(EXACT, noops=noops)), random_actions(100)
    first, ale = env.reset(np.array([[5]])), env.games[0].ale
    assert ale.getEpisodeFrameNumber() <= noops and (noops == 0) == (ale.getEpisodeFrameNumber() == 0)
    other, expected = oracle(task, ale.getEpisodeFrameNumber())
    np.testing.assert_array_equal(first[0, 0], expected)
    for a in actions:
        step, (expected, reward, terminated, truncated, info) = env.step(np.array([[a]])), other.step(a)
        np.testing.assert_array_equal(step.observation[0, 0], expected)
        assert (step.score[0, 0], step.reward[0, 0], ale.lives()) == (reward, reward, info["lives"])
        assert not (terminated or truncated or step.began.any() or step.terminated.any())
    np.testing.assert_array_equal(ale.getRAM(), other.unwrapped.ale.getRAM())


def test_ram_is_the_memory_in_minus_one_to_one():
    env = Atari("alien", (0,), 1, RAM)
    assert env.obs_shape == (128,) and env.reset(np.array([[0]])).dtype == np.float32
    for a in random_actions(20):
        seen = env.step(np.array([[a]])).observation[0, 0]
        np.testing.assert_allclose((seen + 1) * 127.5, env.games[0].ale.getRAM(), atol=1e-4)
        assert seen.min() >= -1 and seen.max() <= 1


def test_a_game_to_its_end_and_the_next_one():
    """As gymnasium's, but for the observation of a game that ends between two observations: gymnasium then shows again
    what it showed a step before, in part; here it is the screen at the end."""
    env = Atari("alien", (3,), 1, EXACT)
    env.reset(np.array([[5]]))
    ale = env.games[0].ale
    other, seen = oracle("alien", ale.getEpisodeFrameNumber())
    for a in random_actions(5000, seed=1):
        step, (seen, reward, terminated, _, _) = env.step(np.array([[a]])), other.step(a)
        assert (step.score.item(), step.terminated.item(), step.began.item()) == (reward, terminated, terminated)
        if terminated:
            break
        np.testing.assert_array_equal(step.last[0, 0], seen)
    assert terminated and not step.truncated.any() and not np.array_equal(step.last, step.observation)
    fresh = Emulator("alien", EXACT)
    np.testing.assert_array_equal(step.observation[0, 0], fresh.begin(3, 5, 1))
    for a in random_actions(50):
        step = env.step(np.array([[a]]))
        assert fresh.step(int(a))[0] == step.score.item()
        np.testing.assert_array_equal(step.observation[0, 0], fresh.observation)
        assert step.observation is step.last


def test_a_lost_life_is_an_end_for_the_learner_only():
    """At the same step as gymnasium's terminal_on_life_loss, which ends the whole game there."""
    env = Atari("alien", (0,), 1, replace(EXACT, life_loss=True))
    kept = Atari("alien", (0,), 1, EXACT)
    env.reset(np.array([[1]])), kept.reset(np.array([[1]]))
    other, _ = oracle("alien", env.games[0].ale.getEpisodeFrameNumber(), terminal_on_life_loss=True)
    for a in random_actions(3000):
        step, through, terminated = env.step(np.array([[a]])), kept.step(np.array([[a]])), other.step(a)[2]
        np.testing.assert_array_equal(step.observation, through.observation)
        assert step.terminated.item() == terminated and not through.terminated.any()
        if terminated:
            break
    assert terminated and not step.began.any() and env.games[0].ale.lives() == 2


def test_a_game_is_cut_at_the_limit_on_frames():
    env = Atari("pong", (0,), 2, replace(EXACT, noops=0, frames=10))
    env.reset(np.array([[0, 0]]))
    flags = [
        (s.truncated.tolist(), s.terminated.any(), s.began.tolist()) for s in map(env.step, np.zeros((6, 1, 2), int))
    ]
    assert flags == [([[t, t]], False, [[t, t]]) for t in (False, False, True) * 2]


def test_reward_is_the_sign_of_the_points():
    env = Atari("alien", (0,), 1, replace(EXACT, clip_reward=True))
    env.reset(np.array([[0]]))
    steps = [env.step(np.array([[a]])) for a in random_actions(100)]
    scores, rewards = np.array([s.score.item() for s in steps]), np.array([s.reward.item() for s in steps])
    assert scores.max() >= 10
    np.testing.assert_array_equal(rewards, np.sign(scores))


def test_number_of_no_ops():
    """Each of 1..30 occurs, uniformly: 900 starts, 30 ± 5.4 each; as many frames are waited as are drawn."""
    console = Emulator("pong", RAM)
    counts = np.zeros(31, int)
    for start in range(900):
        console.seed, console.start, console.game = 0, start, 0
        counts[drawn := console.waiting()] += 1
        if start < 10:
            console.begin(0, start, 0)
            assert console.ale.getEpisodeFrameNumber() == drawn
    assert counts[0] == 0 and counts[1:].min() > 8 and counts[1:].max() < 58


class Recorder:
    """ALE that notes the actions it takes."""

    def __init__(self, ale):
        self.ale, self.taken = ale, []

    def __getattr__(self, name):
        return getattr(self.ale, name)

    def act(self, action):
        self.taken.append(action)
        return self.ale.act(action)


@pytest.mark.parametrize("sticky", (0.0, 0.25))
def test_sticky_actions(sticky):
    """In each frame the last action executed is held with the given chance, else the new one taken (Machado et al. 2018)."""
    console = Emulator("boxing", replace(RAM, sticky=sticky))
    console.begin(0, 0, 0)
    console.ale = Recorder(console.ale)
    late = np.zeros(5, int)
    for a in np.tile([3, 4, 5, 2], 300):
        before, n = console.held, len(console.ale.taken)
        console.step(int(a))
        taken = console.ale.taken[n:]
        held = taken.index(a) if a in taken else 4
        assert taken == [before] * held + [a] * (4 - held)
        late[held] += 1
    assert late.sum() == 1200 and (sticky or late[0] == 1200)
    expected = 1200 * np.array([(1 - sticky) * sticky**k for k in range(4)] + [sticky**4])
    assert (abs(late - expected) <= 4 * np.sqrt(expected) + 1e-9).all()


def test_ale_saves_its_generator_but_not_the_action_it_holds():
    """Why chance is drawn here: what is believed of ALE 0.12."""
    playing, other, following = plain("boxing", 0.25), plain("boxing", 0.25), 1 + np.arange(6)
    resumed = {0: 0, 17: 0}  # how often it goes on as before, by the action held elsewhere
    for some in random_actions(60, 20):
        frames(playing, some)
        state = playing.cloneState(include_rng=True)
        frames(playing, [0] * 20), playing.restoreState(state)  # a no-op is held now, but for a chance of 1e-12
        expected = frames(playing, following)
        for held in resumed:
            frames(other, [held] * 20), other.restoreState(ale_py.ALEState(state.serialize()))
            resumed[held] += frames(other, following) == expected
    assert resumed[0] == 60 and resumed[17] < 60


@pytest.mark.parametrize("task", ("boxing", "demon-attack"))
def test_a_game_does_not_depend_on_the_games_before(task):
    """ALE's reset does in these two: after some of 60 histories the first second is another one."""
    ale, console, random = plain(task), Emulator(task, replace(EXACT, noops=0)), np.random.default_rng(0)
    actions, theirs, ours = random_actions(60), set(), set()
    for _ in range(60):
        history = random.integers(18, size=random.integers(1, 300))
        for playing, again, seen in (
            (ale, ale.reset_game, theirs),
            (console.ale, lambda: console.begin(0, 0, 0), ours),
        ):
            again(), frames(playing, history), again()
            seen.add(hashlib.sha256(repr(frames(playing, actions)).encode()).digest())
    assert len(ours) == 1
    assert len(theirs) > 1, "ALE's reset has been mended: start games with it"


@pytest.mark.parametrize("protocol", (Protocol(frames=150), RAM), ids=("sticky pixels", "ram"))
def test_trajectory_does_not_depend_on_population_or_neighbours(protocol):
    """In the first case games are cut and new ones begin, each environment at its own time."""
    actions = random_actions(60, 2, 3)
    batch = play(Atari("bank-heist", (0, 8), 3, protocol), [[1, 2, 3], [4, 5, 6]], actions)
    single = play(Atari("bank-heist", (8,), 1, protocol), [[6]], actions[:, 1:, 2:])
    assert same(single, [values[1:, 2:] for values in batch])
    twin = play(Atari("bank-heist", (8, 8), 1, protocol), [[6], [5]], np.repeat(actions[:, 1:, 2:], 2, 1))
    assert same(single, [values[:1] for values in twin]) and not same(single, [values[1:] for values in twin])


@pytest.mark.parametrize("observation", ("pixels", "ram"))
@pytest.mark.parametrize("sticky", (0.0, 0.25))
def test_a_restored_environment_goes_on_bit_for_bit(sticky, observation):
    """With our sticky actions too; in another object, with seeds regrouped; games end before and after."""
    protocol = Protocol(observation=observation, sticky=sticky, frames=120)
    env, actions = Atari("demon-attack", (2, 5), 2, protocol), random_actions(160, 2, 2)
    env.reset(np.array([[0, 1], [2, 3]]))
    other = Atari("demon-attack", (5,), 2, protocol)
    other.reset(np.array([[9, 9]]))
    for cut in (1, 37, 80):
        for action in actions[:cut]:
            observation = env.step(action).observation
        states = env.state()
        assert all(isinstance(state, bytes) for state in states)
        onward = [field for action in actions[80:] for field in env.step(action)]
        assert np.array_equal(env.restore(states), observation)
        assert same([field for action in actions[80:] for field in env.step(action)], onward)
        assert np.array_equal(other.restore(states[1:]), observation[1:])
        assert same([field for action in actions[80:, 1:] for field in other.step(action)], [x[1:] for x in onward])


def test_a_state_of_something_else_is_refused():
    env = Atari("pong", (0,), 1, RAM)
    with pytest.raises(RuntimeError, match="reset first"):
        env.state()
    first = env.reset(np.array([[0]]))
    (state,) = env.state()
    others = [("pong", (1,), 1, RAM), ("pong", (0,), 2, RAM), ("bowling", (0,), 1, RAM), ("pong", (0,), 1, EXACT)]
    for other in (Atari(*arguments) for arguments in others):
        with pytest.raises(ValueError, match="not the state of"):
            other.restore([state])
    with pytest.raises(ValueError, match="as many states"):
        env.restore([state, state])
    env.step(np.array([[1]]))
    (longer,) = env.state()
    with pytest.raises(ValueError, match="not the state of"):
        env.restore([longer[:-1]])
    assert np.array_equal(env.restore([state]), first)
    assert [json.loads(some.split(b"\n")[0])["games"][0]["steps"] for some in (state, longer)] == [0, 1]


@pytest.mark.parametrize("bad", (18, -1, 40, 1000))
def test_an_illegal_action_is_refused_before_anything_moves(bad):
    env = Atari("pong", (0,), 2, EXACT)
    env.reset(np.array([[0, 1]]))
    before = env.state()
    with pytest.raises(ValueError, match=r"actions of pong must lie in 0\.\.17"):
        env.step(np.array([[3, bad]]))
    for action in ([[0.0, 1.0]], [[0]], [0, 1], [[True, False]]):
        with pytest.raises(ValueError, match="actions of pong must be integers of shape"):
            env.step(np.array(action))
    assert env.state() == before
    own = Atari("pong", (0,), 1, replace(EXACT, full_actions=False))
    own.reset(np.array([[0]]))
    assert own.act_dim == 6
    with pytest.raises(ValueError, match=r"0\.\.5"):
        own.step(np.array([[6]]))


def nearest(name, own):
    """The action that is left of `name` when a game knows only the directions and the fire of its own actions."""
    known = {part for part in ("UP", "DOWN", "LEFT", "RIGHT", "FIRE") if any(part in action for action in own)}
    left = "".join(part for part in ("UP", "DOWN", "LEFT", "RIGHT", "FIRE") if part in name and part in known)
    return left or "NOOP"


@pytest.mark.parametrize("task", [task for task in GAMES if task not in ("alien", "bank-heist", "boxing")])
def test_actions_a_game_does_not_have_act_like_the_nearest_it_has(task):
    """Screen, points and lives over 24 frames, from 30 states; Alien, Bank Heist and Boxing have all 18."""
    ale, random = plain(task), np.random.default_rng(1)
    own = [action.name for action in ale.getMinimalActionSet()]
    assert len(own) < 18 and all(nearest(name, own) in own for name in NAMES)
    for _ in range(30):
        frames(ale, np.repeat(random.integers(18, size=random.integers(1, 12)), 8))
        if ale.game_over():
            ale.reset_game()
        state, seen = ale.cloneState(include_rng=True), {}
        for a, name in enumerate(NAMES):
            ale.restoreState(state)
            seen[name] = frames(ale, [a] * 24)
        assert all(seen[name] == seen[nearest(name, own)] for name in NAMES)
        ale.restoreState(state)


def fingerprint():
    digest = hashlib.sha256()
    for observation in ("pixels", "ram"):
        for values in play(
            Atari("alien", (4,), 2, Protocol(observation=observation)), [[11, 12]], random_actions(40, 1, 2)
        ):
            digest.update(values.tobytes())
    return digest.hexdigest()


def test_another_process_and_other_thread_counts_give_the_same():
    folder = os.path.dirname(os.path.abspath(__file__))
    tests = os.path.dirname(folder)
    path = os.pathsep.join([folder, tests, os.path.dirname(tests), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "5", "OMP_NUM_THREADS": "3"}
    program = "import torch, test_atari; torch.set_num_threads(3); print(test_atari.fingerprint())"
    answer = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert torch.get_num_threads() == 1 and answer.stdout.split() == [fingerprint()]


def test_step_gives_new_arrays_and_step_wait_is_step():
    env, other = Atari("pong", (0, 1), 1), Atari("pong", (0, 1), 1)
    first, starts = env.reset(np.array([[0], [0]])), np.array([[0], [0]])
    assert np.array_equal(first, other.reset(starts)) and first.shape == (2, 1, 84, 84) and first.dtype == np.uint8
    kept = [first.copy(), first]
    for action in random_actions(10, 2, 1):
        other.step_async(action)
        assert same(env.step(action), other.step_wait())
    assert np.array_equal(*kept)
    env.close()
    with pytest.raises(RuntimeError, match="reset first"):
        env.step(action)


def test_normalised_by_hand():
    assert normalised("bowling", 23.1) == 0 and normalised("bowling", 160.7) == 1
    np.testing.assert_allclose(
        normalised("pong", np.array([-21.0, 0.0, 21.0])), [-0.3 / 35.3, 20.7 / 35.3, 41.7 / 35.3]
    )
    np.testing.assert_allclose(normalised("freeway", 14.8), 0.5)
    with pytest.raises(ValueError, match="no reference scores of 'chess'"):
        normalised("chess", 1.0)
    rows = SCORES.read_text(encoding="utf-8").splitlines()
    assert {*GAMES, "road-runner"} < {row.split(",")[0] for row in rows[1:]} and len(rows) == 58
    assert all("1511.06581" in row for row in rows[1:])


def test_errors_name_the_cause():
    with pytest.raises(ValueError, match="'bank-heist'"):
        Atari("bank-hiest", (0,), 1)
    for seeds, envs in (((), 1), ((0,), 0), ((-1,), 1)):
        with pytest.raises(ValueError, match="at least one"):
            Atari("pong", seeds, envs)
    for wrong in ({"observation": "rgb"}, {"sticky": 1.0}, {"noops": -1}, {"skip": 0}, {"frames": 30}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Protocol(**wrong)
    env = Atari("pong", (0,), 1)
    with pytest.raises(RuntimeError, match="reset first"):
        env.step(np.array([[0]]))
    for starts in ([[-1]], [[2**31]], [[0.0]], [[0, 1]]):
        with pytest.raises(ValueError, match="starts"):
            env.reset(np.array(starts))
