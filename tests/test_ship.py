"""Result folders: shipping merges seeds, never mixes settings, never loses a finished seed."""
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import tiny_run
import torch

from nbsp_lib import checkpoint, runs, ship
from nbsp_lib.checkpoint import Corrupted, read_run
from nbsp_lib.config import cell
from nbsp_lib.method import Method


def finished(root, seed, positions, made=None, unscored=False):
    """A state as training leaves it after `positions` positions, with rows and networks that depend on the seed only."""
    state = runs.states_of(cell(made or tiny_run.profile(), "window", "nbsp"), (seed,), root)[seed]
    agent, _ = tiny.make(Method(), (seed,))
    row = lambda k, **more: {"seed": seed, "position": k + 1, "task": "window-open", "training_task": "window-open", **more}
    info = {"seed": seed, "position": positions, "round": 0, "stored": [], "seconds": 2.0,
            "curves": [row(k, step=400, updates=150, success=1 / 3 + seed, episodes=2) for k in range(positions + 1)],
            "results": [row(k, success=1 / 3 + seed, status="ok") for k in range(positions)],
            "scores": [row(k, network="actor", status="unscored") | ({} if unscored else {"chosen": 6, "status": "scored"})
                       for k in range(positions)]}
    with state.lock():
        for k in range(positions):
            checkpoint.write_atomic(state.folder / f"position{k + 1}.seed{seed}.safetensors", checkpoint.network_bytes(agent, 0))
        state.save({"x": torch.zeros(1)}, info, np.zeros((0, 4), np.float32))


def shipped(root, seeds, made=None):
    return ship.ship(made or tiny_run.profile(), "window", "nbsp", seeds, Path(root) / "out", root=Path(root) / "state")


def test_a_folder_grows_seed_by_seed_to_what_it_would_be_at_once(tmp_path):
    """In any order, with states that are gone meanwhile, and with an unscored seed, whose empty fields make floats of counts."""
    for place in ("a", "b"):
        for seed in (0, 1, 2):
            finished(tmp_path / place / "state", seed, 2, unscored=seed == 1)
    shipped(tmp_path / "a", (0, 1, 2))
    for seed in (2, 0, 1):
        assert shipped(tmp_path / "b", (seed,))[seed] == 2
        shutil.rmtree(tmp_path / "b" / "state")
        for other in {0, 1, 2} - {seed}:
            finished(tmp_path / "b" / "state", other, 2, unscored=other == 1)
    assert tiny_run.contents(tmp_path / "b" / "out") == tiny_run.contents(tmp_path / "a" / "out")
    run = read_run(tmp_path / "a" / "out")
    assert run["seeds"] == [0, 1, 2] and run["unscored"] == [[1, 1], [1, 2]] and run["finished"] == {"0": 2, "1": 2, "2": 2}
    curves = pd.read_csv(tmp_path / "a" / "out" / "curves.csv")
    assert curves.position.max() == 2 and curves.success[0] == 0.333333      # nothing of the position in training


def test_a_seed_that_stands_further_in_the_folder_is_kept(tmp_path):
    finished(tmp_path / "state", 0, 3)
    assert shipped(tmp_path, (0,)) == {0: 3}
    before = tiny_run.contents(tmp_path / "out")
    shutil.rmtree(tmp_path / "state")
    assert shipped(tmp_path, (0, 1)) == {0: 3}
    finished(tmp_path / "state", 0, 2)
    assert shipped(tmp_path, (0,)) == {0: 3} and tiny_run.contents(tmp_path / "out") == before
    shutil.rmtree(tmp_path / "state")
    finished(tmp_path / "state", 0, 4)
    assert shipped(tmp_path, (0,)) == {0: 4}


@pytest.mark.parametrize("call", range(5))
def test_shipping_that_dies_at_any_call_loses_no_seed(tmp_path, monkeypatch, call):
    """The state of seed 0 is gone: what the folder holds of it must outlive the merge with seed 1."""
    finished(tmp_path / "state", 0, 2)
    shipped(tmp_path, (0,))
    shutil.rmtree(tmp_path / "state")
    finished(tmp_path / "state", 1, 2)
    calls = []
    with monkeypatch.context() as patch:
        def dies(real):
            def call_or_die(*args, **kwargs):
                calls.append(real)
                if len(calls) == call + 1:
                    raise KeyboardInterrupt
                return real(*args, **kwargs)
            return call_or_die
        patch.setattr(Path, "rename", dies(Path.rename))
        patch.setattr(shutil, "rmtree", dies(shutil.rmtree))
        with pytest.raises(KeyboardInterrupt):
            shipped(tmp_path, (1,))
    assert shipped(tmp_path, (1,)) == {0: 2, 1: 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "state"]


def test_other_settings_and_damaged_folders_are_not_merged(tmp_path):
    finished(tmp_path / "state", 0, 2)
    shipped(tmp_path, (0,))
    before, other = tiny_run.contents(tmp_path / "out"), tiny_run.profile(batch=17)
    finished(tmp_path / "state", 1, 2, other)
    with pytest.raises(ValueError, match="other settings"):
        shipped(tmp_path, (1,), other)
    assert tiny_run.contents(tmp_path / "out") == before
    finished(tmp_path / "state", 1, 2)
    with open(tmp_path / "out" / "R.csv", "a") as file:
        file.write("0,9\n")
    with pytest.raises(Corrupted, match=r"R\.csv"):
        shipped(tmp_path, (1,))
    assert json.loads((tmp_path / "out" / "run.json").read_text())["seeds"] == [0]
