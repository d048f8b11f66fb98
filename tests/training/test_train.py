"""The task cycle: what may not change a run, does not, byte for byte: kills, forks, populations, evaluations, other seeds."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import tiny_run
import torch

import nbsp_lib.training.rollout
import nbsp_lib.training.trainer
from nbsp_lib.core.rng import generators, restore
from nbsp_lib.methods import find
from nbsp_lib.runs import fingerprint, train_run
from nbsp_lib.runs.run import Run
from nbsp_lib.training import switch
from nbsp_lib.training.networks import network_bytes
from nbsp_lib.training.provenance import machine, versions
from nbsp_lib.training.rollout import milestones
from nbsp_lib.training.trainer import Trainer

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Result folder of seeds 0 and 1, one at a time, two positions, in one go."""
    return tiny_run.train(tmp_path_factory.mktemp("undisturbed"), seeds=(0, 1))


def states(folder, seeds, made=None):
    return tiny_run.run_in(folder, made=made).states(seeds)


def test_what_is_compared_here_really_happened(undisturbed):
    """Masks hold neurons back, updates were replayed, seeds differ, every scheduled row is there."""
    scores, curves, R = (pd.read_csv(undisturbed / f"{name}.csv") for name in ("scores", "curves", "R"))
    assert (scores.status == "scored").all() and (scores.masked > 0).all() and (scores.chosen == 6).all()
    assert set(scores.network) == {"actor", "critic0", "critic1"} and len(scores) == 2 * 2 * 3
    assert len(curves) == 2 * 2 * (1 + 3 + 3) and len(R) == 2 * 2 * 2
    one = curves[(curves.seed == 0) & (curves.task == "window-open")]
    assert one[["position", "step", "total_step", "updates"]].values.tolist() == [
        [1, 0, 0, 0],
        [1, 200, 200, 50],
        [1, 300, 300, 100],
        [1, 400, 400, 150],
        [2, 200, 600, 200],
        [2, 300, 700, 250],
        [2, 400, 800, 300],
    ]
    networks = [data for name, data in tiny_run.contents(undisturbed).items() if name.endswith(".safetensors")]
    assert len(networks) == len(set(networks)) == 4
    mean = curves[(curves.position == 2) & (curves.seed == 1) & (curves.task == "window-close")]["return"].mean()
    row = R[(R.position == 2) & (R.seed == 1) & (R.task == "window-close")].iloc[0]
    assert row["return"] == pytest.approx(mean, abs=1e-5) and row.training_task == "window-close"


@pytest.mark.parametrize("words", [("few",), pytest.param((), marks=pytest.mark.slow)])
def test_killed_at_any_moment_a_run_ends_with_the_same_bytes(undisturbed, tmp_path, words):
    command = [sys.executable, str(TESTS / "killed_run.py"), str(tmp_path), *words]
    env = os.environ | {"PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr
    *killed, last = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
    assert len(killed) == (5 if words else 28) and all(end == "-9" for _, end in killed), done.stdout
    assert last == ["None None", "0"], done.stdout
    for kind in ("chosen",) if words else ("chosen", "timed"):
        assert tiny_run.contents(tmp_path / kind / "out") == tiny_run.contents(undisturbed)
        for state in states(tmp_path / kind, (0, 1)).values():
            left = [len(list(state.folder.glob(name))) for name in ("state-*.safetensors", "recent-*.bin", "*.part")]
            assert max(left) <= 2, left  # what one last kill may leave, not what all of them left


def test_position_one_may_be_forked_or_not(undisturbed, tmp_path):
    out = tiny_run.train(tmp_path, fork=False)
    assert tiny_run.contents(out, 0) == tiny_run.contents(undisturbed, 0)
    assert [path.parent.name[:11] for path in (tmp_path / "state").glob("*/seed*")] == ["window-nbsp"]


@pytest.mark.parametrize("arm", ["ewc", "ancl", "clonex", "packnet"])
def test_a_method_that_forks_position_one_would_have_learned_the_same(arm, tmp_path):
    """State, columns of the replay, a second agent: what a fork does not bring is neutral, to the last byte."""
    one, other = (tiny_run.train(tmp_path / str(fork), arm=arm, fork=fork) for fork in (True, False))
    assert tiny_run.contents(one, 0) == tiny_run.contents(other, 0)
    assert (
        tiny_run.contents(one, 0)["position2.seed0.safetensors"]
        != tiny_run.contents(one, 0)["position1.seed0.safetensors"]
    )


@pytest.mark.parametrize("arm", ["clear", "cbp", "cotasp", "pi", "ne"])
def test_a_method_stopped_in_any_position_goes_on_with_the_same_bytes(arm, tmp_path):
    """Once between two positions, once in the middle of the second, as one process after another."""
    whole = tiny_run.train(tmp_path / "whole", arm=arm)
    tiny_run.train(tmp_path / "parts", arm=arm, positions=1)
    run = Trainer.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Trainer,
            "run",
            lambda self, states, bar, stop, every, end: run(
                self, states, bar, lambda: (self.position, self.round) == (1, 2), every, end
            ),
        )
        with pytest.raises(train_run.Stopped):
            tiny_run.train(tmp_path / "parts", arm=arm)
    assert tiny_run.contents(tiny_run.train(tmp_path / "parts", arm=arm), 0) == tiny_run.contents(whole, 0)


def test_a_population_of_two_is_two_of_one_and_seeds_may_be_regrouped(undisturbed, tmp_path, monkeypatch):
    """Each begins alone; from position 2 on they go on as one population."""
    for seed in (0, 1):
        first = tiny_run.train(tmp_path, seeds=(seed,), positions=1)
    assert json.loads((first / "run.json").read_text())["finished"] == {"0": 1, "1": 1}
    places, finish = [], switch.finish
    monkeypatch.setattr(
        switch, "finish", lambda trainer, s: (places.append((trainer.position, trainer.seeds)), finish(trainer, s))
    )
    out = tiny_run.train(tmp_path, seeds=(0, 1), population=2)
    assert places == [(1, (0, 1))] and tiny_run.contents(out) == tiny_run.contents(undisturbed)
    together = tiny_run.train(tmp_path / "together", seeds=(0, 1), population=2)
    assert places[1:] == [(0, (0, 1)), (1, (0, 1))] and tiny_run.contents(together) == tiny_run.contents(undisturbed)


def test_evaluations_leave_no_trace_in_what_is_learned(undisturbed, tmp_path):
    out = tiny_run.train(tmp_path, made=tiny_run.profile(evaluations=4, episodes=3))
    mine, theirs = tiny_run.contents(out, 0), tiny_run.contents(undisturbed, 0)
    assert len(mine["curves.csv"]) > len(theirs["curves.csv"])
    measured = ("curves.csv", "R.csv", "plasticity.csv")
    assert {k: v for k, v in mine.items() if k not in measured} == {
        k: v for k, v in theirs.items() if k not in measured
    }


@pytest.mark.parametrize(
    ("value", "bad"), [(65519.0, []), (65520.0, [1]), (-7e4, [1]), (float("inf"), [1]), (float("nan"), [1])]
)
def test_divergence_is_looked_for_in_what_ships(value, bad):
    """fp16 reaches to 65504, and to 65520 by rounding; a weight beyond ships as inf. In every network, and in the state that
    a method acts from (PI's signs); not in what stays here."""
    arm = tiny_run.profile().arms["pi"]
    trainer = Trainer(tiny_run.profile().train, tiny_run.SEQUENCE, find(arm.method)(**arm.settings), (0, 1, 2))
    assert trainer.diverged() == [] and trainer.method.acts_from
    where = [net.params[name] for net in trainer.agent.networks for name in ("w0", "b1")]
    where += [
        trainer.method.state[name]
        for name in trainer.method.acts_from
        if trainer.method.state[name].is_floating_point()
    ]
    for tensor in where:
        before = tensor[1].clone()
        tensor[1].reshape(-1)[-1] = value
        assert trainer.diverged() == bad
        data = network_bytes(trainer.agent, trainer.method, 1)
        assert all(t.isfinite().all() for t in safetensors.torch.load(data).values()) == (not bad)
        tensor[1].copy_(before)
    trainer.agent.target["w0"][1].fill_(7e4)
    assert trainer.diverged() == []


def test_a_diverged_seed_stops_alone_in_its_last_good_state(undisturbed, tmp_path, monkeypatch):
    """Seed 2 meets a NaN in the shared position 1, seed 1 in position 2; seed 0 never notices."""
    learn = Trainer.update

    def poisoned(self, updates):
        learn(self, updates)
        for seed, at in ((2, 60), (1, 190)):
            if seed in self.seeds and int(self.agent.updates[0]) == at:
                self.agent.actor.params["w1"][self.seeds.index(seed), 0, 3, 3] = float("nan")

    monkeypatch.setattr(Trainer, "update", poisoned)
    out = tiny_run.train(tmp_path, seeds=(0, 1, 2), population=3, save_every=0)
    about = json.loads((out / "run.json").read_text())
    assert about["diverged"] == [1, 2] and about["finished"] == {"0": 2, "1": 1, "2": 0}
    assert tiny_run.contents(out, 0) == tiny_run.contents(undisturbed, 0)
    until = tiny_run.contents(undisturbed, 1)
    for name, data in tiny_run.contents(out, 1).items():
        assert data and (
            data == [line for line in until[name] if line.startswith(b"1,1,")]
            if name.endswith(".csv")
            else data == until[name]
        )
    mine = states(tmp_path, (0, 1, 2))
    assert [mine[seed].place for seed in (0, 1, 2)] == [(2, 0), (1, 1), (0, 2)]
    for seed in (1, 2):
        tensors, manifest, rows = mine[seed].load()
        assert manifest["diverged"] and all(torch.isfinite(t).all() for t in tensors.values())
        assert len(rows) == 100 * manifest["round"]
    monkeypatch.setattr(Trainer, "run", lambda *args: pytest.fail("a diverged or finished seed was trained again"))
    assert tiny_run.contents(tiny_run.train(tmp_path, seeds=(0, 1, 2))) == tiny_run.contents(out)


def test_a_signal_stops_at_the_end_of_a_round_and_the_same_command_goes_on(undisturbed, tmp_path, monkeypatch):
    """Once in the shared position 1, once in its last round, once in position 2."""
    play, places = Trainer.play_round, []
    signals = {(0, 1): signal.SIGINT, (0, 3): signal.SIGTERM, (1, 2): signal.SIGINT}

    def interrupted(self, env):
        if (self.position, self.round) in signals:
            os.kill(os.getpid(), signals.pop((self.position, self.round)))
        return play(self, env)

    monkeypatch.setattr(Trainer, "play_round", interrupted)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for _ in range(3):
        with pytest.raises(train_run.Stopped):
            tiny_run.train(tmp_path, save_every=1e9)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        trunk = tiny_run.run_in(tmp_path).trunk().states((0,))[0]
        places.append(max(states(tmp_path, (0,))[0].place, trunk.place))
    assert places == [(0, 2), (0, 4), (1, 3)]
    out = tiny_run.train(tmp_path)
    assert tiny_run.contents(out, 0) == tiny_run.contents(undisturbed, 0)


def test_a_state_says_where_it_was_trained_and_progress_waits_for_no_disk(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.append(Path(os.readlink(f"/proc/self/fd/{file}")).name), fsync(file))
    )
    out = tiny_run.train(tmp_path, seeds=(0, 1), positions=1, population=2, save_every=0)
    for state in states(tmp_path, (0, 1)).values():
        assert {k: state.manifest[k] for k in ("hardware", "population", "versions")} == {
            "hardware": machine()["cpu"],
            "population": 2,
            "versions": versions(),
        }
        assert json.loads((state.folder / "progress.json").read_text())["done"] == 4
    assert json.loads((out / "run.json").read_text())["versions"] == versions()
    assert {"state.json.part", "recent-0.bin", "run.json.part"} < set(synced) and "progress.json.part" not in synced


def test_a_seed_that_somebody_trains_is_refused(tmp_path):
    state = states(tmp_path, (0,))[0]
    with state.lock(), pytest.raises(BlockingIOError):
        tiny_run.train(tmp_path)
    assert state.manifest is None and not (tmp_path / "out").exists()


def test_arms_share_position_one_and_other_settings_share_nothing(tmp_path):
    made = tiny_run.profile()
    nbsp, tuned = (Run(made, "window", arm) for arm in ("nbsp", "fine-tuning"))
    other = Run(tiny_run.profile(batch=17), "window", "nbsp")
    assert nbsp.trunk().fingerprint == tuned.trunk().fingerprint
    prints = [run.fingerprint for run in (nbsp, tuned, other, nbsp.trunk(), other.trunk())]
    assert len(set(prints)) == 5
    renamed = replace(made, arms={"x": replace(made.arms["nbsp"], name="x")}, profile="y", seeds=(7,))
    assert Run(renamed, "window", "x").fingerprint == prints[0]  # names and seeds train nothing


def test_the_code_of_a_method_is_all_that_it_is_made_of(monkeypatch):
    """A class it inherits from, a function it takes from another method; not the method next door."""
    read, files = Path.read_text, {}

    def noted(path, *args, **kwargs):
        files.setdefault(now, set()).add(path.stem)
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", noted)
    for now in ("sac", "nbsp", "ancl", "clear"):
        fingerprint.code_hash.__wrapped__(now)
    extra = {name: found - files["sac"] for name, found in files.items()}
    assert extra == {
        "sac": set(),
        "nbsp": {"nbsp", "selection"},
        "ancl": {"ancl", "ewc"},
        "clear": {"clear", "er", "clonex"},
    }


@pytest.mark.parametrize("arm", ["packnet", "cotasp"])
def test_a_method_that_asks_is_told_what_is_played(arm, tmp_path):
    """Both keep the policy of an earlier task as it was, so its return, from mean actions, does not change any more."""
    curves = pd.read_csv(tiny_run.train(tmp_path, arm=arm, made=tiny_run.profile(evaluations=4)) / "curves.csv")
    first = curves[curves.task == "window-open"][
        "return"
    ].to_numpy()  # evaluations 0 … 4 of position 1, 1 … 4 of position 2
    assert first[4] == first[5] == first[8] != first[1]  # numbers 1 and 4 play the same goals
    assert curves[curves.task == "window-close"]["return"].nunique() > 3


def test_streams_of_seeds_and_purposes_differ():
    first = [torch.rand(4, generator=g).tolist() for seed in range(3) for g in generators(seed).values()]
    assert len(first) == 33 and len({tuple(x) for x in first}) == 33


def test_a_generator_goes_on_where_it_stood_and_on_another_device_from_what_that_decides():
    one, other = (generators(0)["method"] for _ in range(2))
    torch.rand(9, generator=one)
    restore(other, one.get_state())
    assert torch.equal(torch.rand(9, generator=one), torch.rand(9, generator=other))
    strange = [torch.arange(k, k + 16, dtype=torch.uint8) for k in (0, 0, 1)]  # a GPU's states are of 16 bytes
    drawn = []
    for state in strange:
        restore(other, state)
        drawn.append(torch.rand(9, generator=other).tolist())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("rounds, evaluations", [(4, 3), (4, 4), (20, 4), (7, 3), (100, 20)])
def test_evaluations_are_spread_evenly_and_the_last_stands_at_the_end(rounds, evaluations):
    due = milestones(rounds, evaluations)
    assert sorted(due.values()) == list(range(1, evaluations + 1)) and max(due) == rounds
    assert all(0 <= at - number * rounds / evaluations < 1 for at, number in due.items())


def test_only_updates_multiply_in_low_precision(tmp_path, monkeypatch):
    """matmul_precision holds for updates; evaluations, scores and whatever runs afterwards multiply in full."""
    seen = {"update_from_rows": set(), "rollout": set()}
    for name, module in (("update_from_rows", nbsp_lib.training.trainer), ("rollout", nbsp_lib.training.rollout)):
        real = getattr(module, name)
        monkeypatch.setattr(
            module,
            name,
            lambda *args, _name=name, _real=real, **kwargs: (
                seen[_name].add(torch.get_float32_matmul_precision()),
                _real(*args, **kwargs),
            )[1],
        )
    tiny_run.train(tmp_path, positions=1, made=tiny_run.profile(matmul_precision="medium"))
    assert (
        seen == {"update_from_rows": {"medium"}, "rollout": {"highest"}}
        and torch.get_float32_matmul_precision() == "highest"
    )
