"""The files of examples/ at small settings: what they show is so, and they are short."""

import importlib.util
from pathlib import Path

import pytest
import torch

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))


def example(name):
    (path,) = [path for path in EXAMPLES if path.stem == name]
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_has_fewer_than_40_lines():
    lengths = {path.stem: len(path.read_text(encoding="utf-8").splitlines()) for path in EXAMPLES}
    assert lengths.keys() == {"sac_population", "your_own_network", "task_cycle"} and max(lengths.values()) < 40


def test_a_seed_of_the_population_is_the_same_alone():
    train, small = example("sac_population").train, {"E": 2, "steps": 230, "learning_starts": 190, "batch": 16}
    both = train(seeds=(0, 1), **small)
    assert both.shape == (230, 2) and torch.equal(both[:, 1:], train(seeds=(1,), **small))
    assert not torch.equal(both[:, 0], both[:, 1])


@pytest.mark.slow
def test_every_seed_of_the_population_learns():
    episodes = torch.stack([part.mean(0) for part in example("sac_population").train().split(200)])
    assert (episodes[-1] > episodes[0] + 2).all()


def test_replay_keeps_what_masks_alone_do_not():
    learn_both = example("your_own_network").learn_both
    learned, kept, _ = learn_both()
    assert learned < 0.01 and kept < 0.1
    assert learn_both(replay_every=0)[1] > 10 * kept


@pytest.mark.filterwarnings("ignore:Constant")  # of Meta-World's expert
def test_an_expert_of_one_task_plays_the_cycle():
    shown = example("task_cycle")
    played = shown.play(shown.Expert("window-open"), shown.TaskCycle("window", steps=120, episode=120))
    assert [task for task, *_ in played] == ["window-open", "window-close"] * 2
    assert [success for task, _, success in played if task == "window-open"] == [1, 1]
