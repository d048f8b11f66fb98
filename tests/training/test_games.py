"""Whole games in the task cycle: resumed in the middle of a game, seeds alone, pixels; rollouts of games against a plain loop."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny
import tiny_run
import torch

from nbsp_lib.core import sac
from nbsp_lib.core.categorical import Categorical
from nbsp_lib.core.frame_replay import Frames, FrameStack
from nbsp_lib.core.method import Method
from nbsp_lib.core.rng import generators
from nbsp_lib.envs.atari import Atari
from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.envs.emulator import Protocol
from nbsp_lib.methods import METHODS
from nbsp_lib.runs import train_run
from nbsp_lib.runs.settings import cell
from nbsp_lib.training import games
from nbsp_lib.training.collect import GameCollector
from nbsp_lib.training.rollout import environments
from nbsp_lib.training.trainer import Trainer

SEQUENCE = "boxing-road-runner"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


def trained(folder, **how):
    return tiny_run.train(folder, sequence=SEQUENCE, made=how.pop("made", tiny_run.games()), **how)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Result folder of seeds 0 and 1, one at a time, two positions, in one go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TQDM_DISABLE", "1")
        return trained(tmp_path_factory.mktemp("undisturbed"), seeds=(0, 1))


def stopped_everywhere(folder, **how):
    """The same run, stopped after every round, as one process after another; how often."""
    run, stops = Trainer.run, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Trainer,
            "run",
            lambda self, states, bar, stop, every, end: run(
                self, states, bar, lambda: self.round < self.rounds, every, end
            ),
        )
        while True:
            try:
                return trained(folder, **how), stops
            except train_run.Stopped:
                stops += 1


def test_what_is_compared_here_really_happened(undisturbed):
    """Games went on over rounds and ended within them, neurons were scored by the return, success is nowhere."""
    curves, R, scores = (pd.read_csv(undisturbed / f"{name}.csv") for name in ("curves", "R", "scores"))
    assert curves.success.isna().all() and R.success_last.isna().all() and R["return"].notna().all()
    assert set(curves.task) == {"boxing", "road-runner"} and curves["return"].nunique() > 5
    assert (scores.status == "scored").any() and (scores.masked > 0).any()
    assert len(curves) == 2 * 2 * (1 + 3 + 3) and curves.updates.max() == 2 * 75


def test_a_run_stopped_in_the_middle_of_games_goes_on_with_the_same_bytes(undisturbed, tmp_path):
    """After every round, sticky actions and all: the state holds each emulator and where its chance stands."""
    out, stops = stopped_everywhere(tmp_path, seeds=(0, 1), population=2)
    assert stops >= 6 and tiny_run.contents(out) == tiny_run.contents(undisturbed)


def test_a_seed_of_three_is_the_same_alone(undisturbed, tmp_path):
    out = trained(tmp_path, seeds=(2, 1, 0), population=3)
    for seed in (0, 1):
        assert tiny_run.contents(out, seed) == tiny_run.contents(undisturbed, seed)


def test_pixels_are_learned_from_and_resume_exactly(tmp_path):
    """A ring of frames, filters scored and masked, a task switch, the stored part; stopped after every round, the same bytes."""
    made = tiny_run.games(observation="pixels", layers=(16,), steps=150, batch=4, updates_per_step=0.1)
    whole = trained(tmp_path / "whole", made=made)
    parts, stops = stopped_everywhere(tmp_path / "parts", made=made)
    assert stops >= 4 and tiny_run.contents(parts) == tiny_run.contents(whole)
    scores = pd.read_csv(whole / "scores.csv")
    assert set(scores.neurons) == {32 + 64 + 64 + 16}


def test_a_signal_needs_no_new_game(tmp_path):
    """What a resumed collector shows is what the one before it would have shown next."""
    kind = benchmark(("boxing",), tiny_run.games(observation="pixels").atari)
    first, frames = kind.make("boxing", (3,), 2, 25), lambda: Frames(1, 40, 1, 4, 2)
    one, starts = GameCollector(frames(), "cpu"), lambda: np.array([[5, 6]])
    obs, action = one.first(first, starts), torch.full((1, 2, 1), 3)
    for _ in range(6):
        one.ask(first, action)
        obs = one.keep(obs, action, first.step_wait(), {})
    other, again = GameCollector(frames(), "cpu"), kind.make("boxing", (3,), 2, 25)
    other.replay.seen, other.resume = one.replay.seen, one.states()
    other.replay.restore_rows(0, one.replay.rows_so_far(0))
    for t, kept in zip(other.replay.tensors().values(), one.replay.tensors().values()):
        t.copy_(kept)
    assert torch.equal(other.first(again, None), obs) and torch.equal(one.first(first, None), obs)
    rows = torch.arange(12)[None]
    assert all(torch.equal(a, b) for a, b in zip(one.replay.gather(rows).values(), other.replay.gather(rows).values()))


def agent_for(env, seeds, layers=(8, 8)):
    settings = SimpleNamespace(layers=layers)
    return sac.make_agent(Method(), tiny.generators(seeds, 1), 128, Categorical(18), (env.task,), settings)


def test_a_rollout_is_that_of_a_plain_loop():
    """Points and lengths of each game, one console at a time, from the same chance; the moments by hand."""
    train = tiny_run.games().atari
    make = benchmark(("boxing",), train).make
    agent = agent_for(SimpleNamespace(task="boxing"), (0, 4))
    played = games.rollout(agent, "boxing", (0, 4), 3, train, hidden=True, make=make)
    for p, seed in enumerate((0, 4)):
        chance = generators(seed)["evaluation"]
        noise = torch.stack([torch.randn(3, 18, generator=chance) for _ in range(60)])
        lived, kept = [], []
        for e in range(3):
            env = Atari("boxing", (seed,), 1, Protocol("ram", noops=4, frames=240))
            obs, points, steps, over = env.reset(np.array([[e]])), 0.0, 0, False
            while not over:
                x = torch.from_numpy(obs)[0, 0] @ agent.actor.params["w0"][p, 0] + agent.actor.params["b0"][p, 0, 0]
                first = x.relu()
                second = (first @ agent.actor.params["w1"][p, 0] + agent.actor.params["b1"][p, 0, 0]).relu()
                logits = second @ agent.actor.params["w2"][p, 0] + agent.actor.params["b2"][p, 0, 0]
                u = torch.special.ndtr(noise[steps, e].double())
                action = (logits.double() - torch.log(-torch.log(u))).argmax()
                kept.append(second)
                step = env.step(np.array([[int(action)]]))
                points, steps, over, obs = points + step.score.item(), steps + 1, bool(step.began), step.observation
            lived.append((points, steps))
        assert lived == list(zip(played.points[p].tolist(), played.steps[p].tolist()))
        picked = torch.arange(40) * len(kept) // 40
        torch.testing.assert_close(played.hidden["actor"][1][p, 0], torch.stack(kept)[picked], rtol=1e-5, atol=1e-6)
        ends = np.cumsum([n for _, n in lived])
        assert played.episode[p].tolist() == np.searchsorted(ends, picked.numpy(), side="right").tolist()
        assert played.goal()[p].tolist() == [lived[e][0] for e in played.episode[p]]
    assert torch.equal(played.outcome()[2], played.points.mean(1)) and played.outcome()[0].isnan().all()


def test_a_game_that_is_over_stands_still():
    env = Atari("boxing", (0,), 2, Protocol("ram", noops=0, sticky=0.0))
    env.reset(np.array([[0, 0]]))
    before = env.games[1].observation.copy()
    step = env.step(np.array([[2, 2]]), np.array([[True, False]]))
    assert env.fresh.tolist() == [[False, True]] and np.array_equal(env.games[1].observation, before)
    assert not step.began[0, 1] and step.score[0, 1] == 0


def test_a_stack_for_who_keeps_no_replay_is_that_of_the_ring():
    """Watcher and Frames.see, over a game's end."""
    ring, watch, g = Frames(1, 40, 1, 4, 2, side=(36, 36)), FrameStack(), torch.Generator().manual_seed(0)
    for t in range(9):
        frame = torch.randint(256, (1, 2, 36, 36), generator=g, dtype=torch.uint8)
        began = torch.tensor([[t in (0, 5), t == 0]])
        assert torch.equal(ring.see(frame, began), watch(frame, began))
        ring.add(
            torch.zeros(1, 2, 1), torch.zeros(1, 2), frame, torch.zeros(1, 2), torch.tensor([[float(t == 4), 0.0]])
        )


def test_a_method_without_a_form_for_images_is_refused():
    for method in METHODS.values():
        make = partial(
            sac.make_agent,
            method(),
            tiny.generators((0,), 1),
            (4, 36, 36),
            Categorical(6),
            ("a", "b"),
            SimpleNamespace(**vars(tiny.SETTINGS) | {"layers": (16,)}),
        )
        if method.images:
            assert make().actor.params["w0"].shape[2:] == (4 * 64, 32)
        else:
            with pytest.raises(ValueError, match="not defined here for convolutional networks"):
                make()


def test_workers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="only Meta-World is stepped by other processes"):
        trained(tmp_path, workers=2)


def test_environments_are_kept_for_the_next_evaluation():
    """Protocols that are equal make one key, and its cell says all that trains."""
    train = tiny_run.games().atari
    one, two = (benchmark(("boxing",), t).make for t in (train, vars(train)))
    assert environments(one, "boxing", (0,), 2, 25) is environments(two, "boxing", (0,), 2, 25)
    assert cell(tiny_run.games(), SEQUENCE, "nbsp")["train"]["sticky"] == 0.25
