"""Result folders: shipping merges seeds, never mixes settings, never loses a finished seed."""

import importlib.metadata
import json
import multiprocessing
import platform
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import tiny_run
import torch

from nbsp_lib.artifact import compare
from nbsp_lib.core.method import Method
from nbsp_lib.runs import export, fingerprint
from nbsp_lib.runs import state as checkpoint
from nbsp_lib.runs.run import Run
from nbsp_lib.runs.state import Corrupted, read_run
from nbsp_lib.training import provenance
from nbsp_lib.training.networks import network_bytes


def finished(root, seed, positions, made=None, unscored=False, versions=None):
    """A state as training leaves it after `positions` positions, with rows and networks that depend on the seed only."""
    state = Run(made or tiny_run.profile(), "window", "nbsp", root).states((seed,))[seed]
    agent, _ = tiny.make(Method(), (seed,))
    row = lambda k, **more: {
        "seed": seed,
        "position": k + 1,
        "task": "window-open",
        "training_task": "window-open",
        **more,
    }
    info = {
        "seed": seed,
        "position": positions,
        "round": 0,
        "stored": [],
        "seconds": 2.0,
        "curves": [row(k, step=400, updates=150, success=1 / 3 + seed, episodes=2) for k in range(positions + 1)],
        "R": [row(k, success=1 / 3 + seed, status="ok") for k in range(positions)],
        "scores": [
            row(k, network="actor", status="unscored") | ({} if unscored else {"chosen": 6, "status": "scored"})
            for k in range(positions)
        ],
        "plasticity": [],
    }
    with state.lock():
        for k in range(positions):
            name = f"position{k + 1}.seed{seed}.safetensors"
            checkpoint.write_atomic(state.folder / name, network_bytes(agent, Method(), 0))
        info |= {"versions": versions or provenance.versions(), "hardware": "a cpu", "population": 1}
        state.save({"x": torch.zeros(1)}, info, lambda first: np.zeros((0, 4), np.float32))


def shipped(root, seeds, made=None):
    return export.ship(tiny_run.run_in(root, made=made), seeds, Path(root) / "out")


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
    assert (
        run["seeds"] == [0, 1, 2]
        and run["unscored"] == [[1, 1], [1, 2]]
        and run["finished"] == {"0": 2, "1": 2, "2": 2}
    )
    curves = pd.read_csv(tmp_path / "a" / "out" / "curves.csv")
    assert curves.position.max() == 2 and curves.success[0] == 0.333333  # nothing of the position in training


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


def test_each_seed_keeps_the_networks_that_were_asked_for_when_it_was_copied(tmp_path):
    run = tiny_run.run_in(tmp_path)
    for seed, networks in enumerate(("all", "actors", "last", "none")):
        finished(tmp_path / "state", seed, 2)
        export.ship(run, (seed,), tmp_path / "out", networks)
        shutil.rmtree(tmp_path / "state")
    named = {path.name: path.stat().st_size for path in (tmp_path / "out").glob("*.safetensors")}
    assert sorted(named) == [
        f"position{k}.seed{seed}.safetensors" for k, seed in [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    ]
    sizes = {seed: named[f"position2.seed{seed}.safetensors"] for seed in (0, 1, 2)}
    assert sizes[0] > sizes[1] == sizes[2]  # without critics
    assert read_run(tmp_path / "out")["finished"] == dict.fromkeys("0123", 2)


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


def ship_each(folder, seeds, go):
    """Ship one seed after the other, as one of several workers on one result folder."""
    go.wait(60)
    for seed in seeds:
        shipped(folder, (seed,))


def test_two_workers_that_ship_at_the_same_time_lose_no_seed(tmp_path):
    """Each seed is shipped once: whatever one worker overwrote of the other's would stay lost."""
    context, seeds = multiprocessing.get_context("spawn"), range(20)  # a fork of a process that used torch may hang
    for seed in seeds:
        finished(tmp_path / "state", seed, 1)
    go = context.Barrier(2)
    workers = [context.Process(target=ship_each, args=(tmp_path, seeds[i::2], go), daemon=True) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert read_run(tmp_path / "out")["finished"] == {str(seed): 1 for seed in seeds}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "state"]


def test_a_folder_is_waited_for_while_it_is_held(tmp_path):
    finished(tmp_path / "state", 0, 1)
    worker = threading.Thread(target=shipped, args=(tmp_path, (0,)), daemon=True)
    with export.folder_lock(tmp_path / "out", tmp_path / "state"):
        worker.start()
        worker.join(0.3)
        assert worker.is_alive() and not (tmp_path / "out").exists()
    worker.join(30)
    assert read_run(tmp_path / "out")["finished"] == {"0": 1}


def test_every_seed_says_by_which_code_it_was_trained(tmp_path, monkeypatch):
    finished(tmp_path / "state", 0, 2)
    shipped(tmp_path, (0,))
    old = read_run(tmp_path / "out")
    assert old["code"] == {"0": old["code_hash"]}
    path = tmp_path / "out" / "run.json"  # as it was written before: one hash for all seeds
    path.write_text(json.dumps({k: v for k, v in old.items() if k != "code"}))
    for module in (fingerprint, export):
        monkeypatch.setattr(module, "code_hash", lambda method: "f" * 16)
    finished(tmp_path / "state", 1, 2)
    shipped(tmp_path, (1,))
    run = read_run(tmp_path / "out")
    assert run["code"] == {"0": old["code_hash"], "1": "f" * 16} and run["code_hash"] == old["code_hash"]
    finished(tmp_path / "state", 0, 3)  # trained anew by the code at hand
    shipped(tmp_path, (0,))
    assert read_run(tmp_path / "out")["code"] == {"0": "f" * 16, "1": "f" * 16}


def test_every_seed_keeps_the_versions_that_trained_it_and_what_is_not_installed_is_not_named(tmp_path, monkeypatch):
    finished(tmp_path / "state", 0, 2, versions={"torch": "1.0", "python": "3.0"})
    assert shipped(tmp_path, (0,)) == {0: 2}
    run = read_run(tmp_path / "out")
    assert run["versions"] == {"torch": "1.0", "python": "3.0"} and "versions_of" not in run
    shutil.rmtree(tmp_path / "state")
    here, version = provenance.versions(), importlib.metadata.version
    assert here["torch"] == version("torch") and here["python"] == platform.python_version()
    finished(tmp_path / "state", 1, 2)
    for _ in range(2):  # the second time all is read back
        shipped(tmp_path, (1,))
        run = read_run(tmp_path / "out")
        assert run["versions"] == {"torch": "1.0", "python": "3.0"} and run["versions_of"] == {"1": here}
        assert export.versions_of(run) == {0: run["versions"], 1: here}

    def without(name):
        if name == "dm-control":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    assert provenance.versions.__wrapped__() == {name: known for name, known in here.items() if name != "dm-control"}


def test_a_seed_says_on_what_and_beside_how_many_it_was_trained(tmp_path):
    finished(tmp_path / "state", 0, 2)
    finished(tmp_path / "state", 1, 2)
    tiny_run.run_in(tmp_path).states((1,))[1].mark(compiled=True, population=4)
    shipped(tmp_path, (0, 1))
    like = {"seconds": 2.0, "updates_per_s": 75.0, "hardware": "a cpu"}
    assert json.loads((tmp_path / "out" / "timing.json").read_text()) == {
        "0": like | {"mode": "eager", "population": 1},
        "1": like | {"mode": "compiled", "population": 4},
    }


def test_a_seed_that_changed_its_machine_or_its_company_was_timed_on_no_one_kind():
    here = provenance.trained_here("cpu", 3, None)
    assert here == {"hardware": compare.machine()["cpu"], "population": 3, "versions": provenance.versions()}
    assert provenance.trained_here("cpu", 3, here) == here
    regrouped = provenance.trained_here("cpu", 2, here)
    assert regrouped == here | {"population": None}
    assert provenance.trained_here("cpu", 2, regrouped)["population"] is None
    assert provenance.trained_here("cpu", 3, here | {"hardware": "another"}) == here | {"hardware": None}


def test_a_run_with_other_settings_makes_way_as_a_whole_if_it_is_said_and_only_for_one_that_has_finished_something(
    tmp_path,
):
    finished(tmp_path / "state", 0, 4)
    shipped(tmp_path, (0,))
    before, new = tiny_run.contents(tmp_path / "out"), tiny_run.profile(batch=17)
    replaced = lambda: export.ship(tiny_run.run_in(tmp_path, made=new), (1,), tmp_path / "out", replace=True)
    assert replaced() == {} and tiny_run.contents(tmp_path / "out") == before
    finished(tmp_path / "state", 1, 1, new)
    assert replaced() == {1: 1} and replaced() == {1: 1}
    run = read_run(tmp_path / "out")
    assert (
        run["seeds"] == [1] and run["config"]["train"]["batch"] == 17 and not list((tmp_path / "out").glob("*.seed0.*"))
    )


def test_what_was_timed_elsewhere_stays_as_it_was_recorded_and_may_be_missing(tmp_path):
    for seed in (0, 1):
        finished(tmp_path / "state", seed, 2)
    shipped(tmp_path, (0,))
    path, elsewhere = (
        tmp_path / "out" / "timing.json",
        {"0": {"seconds": 7.0, "updates_per_s": 1.0, "hardware": "elsewhere"}},
    )
    path.write_text(json.dumps(elsewhere))
    shutil.rmtree(tiny_run.run_in(tmp_path).states((0,))[0].folder)
    shipped(tmp_path, (1,))
    timing = json.loads(path.read_text())
    assert timing["0"] == elsewhere["0"] and set(timing) == {"0", "1"}
    path.unlink()  # DVC does not keep it
    assert shipped(tmp_path, (1,)) == {0: 2, 1: 2} and set(json.loads(path.read_text())) == {"1"}
    path.write_text("{")
    with pytest.raises(Corrupted, match=r"timing\.json"):
        shipped(tmp_path, (1,))


def test_the_files_of_a_folder_are_read_once(tmp_path, monkeypatch):
    for seed in (0, 1):
        finished(tmp_path / "state", seed, 2)
    shipped(tmp_path, (0,))
    names, real = [], checkpoint.checked
    for module in (checkpoint, export):
        monkeypatch.setattr(module, "checked", lambda path, digest: (names.append(path), real(path, digest))[1])
    shipped(tmp_path, (1,))
    read = [path.name for path in names if path.parent == tmp_path / "out"]
    assert sorted(read) == sorted(set(read)) and {"R.csv", "position1.seed0.safetensors"} <= set(read)


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
