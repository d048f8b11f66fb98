"""Files that were damaged are refused by name; what a killed save left behind is not seen; nothing is ever pickled."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch

from nbsp_lib.core.replay import Replay
from nbsp_lib.runs import state as checkpoint
from nbsp_lib.runs.state import Corrupted, SeedState, load_agent, read_run

LIBRARY = Path(checkpoint.__file__).resolve().parent
DAMAGE = {
    "a byte": lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"\0",
}


def damage(path, kind):
    path.write_bytes(DAMAGE[kind](path.read_bytes()))


# -- result folders ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def results(tmp_path):
    return synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1))


def test_a_shipped_network_comes_back_as_it_was(results):
    (agent, _), run = load_agent(results, 2, (1, 0)), read_run(results)
    assert agent.tasks == ("window-open", "window-close") and run["seeds"] == [0, 1]
    for p, seed in enumerate((1, 0)):
        want = synthetic.network(10 * seed + 2, synthetic.TRAIN["layers"])
        for net in agent.networks:
            assert net.depth == 3
            for k, t in net.params.items():
                assert t.dtype == torch.float32 and torch.equal(t[p], want[f"{net.name}.{k}"].float())


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", ["position2.seed1.safetensors", "curves.csv"])
def test_a_damaged_file_is_refused_by_name(results, name, kind):
    damage(results / name, kind)
    with pytest.raises(Corrupted, match=name):
        read_run(results)
    with pytest.raises(Corrupted, match=name):
        load_agent(results, 2, (0, 1))


def test_networks_of_two_seeds_that_were_exchanged_are_refused(results):
    run = read_run(results)
    one, other = results / "position1.seed0.safetensors", results / "position1.seed1.safetensors"
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    for known in (None, run):  # also if run.json was read before the exchange
        with pytest.raises(Corrupted, match=r"position1\.seed[01]\.safetensors"):
            load_agent(results, 1, (0, 1), known)
    load_agent(results, 2, (0, 1), run)


def test_what_is_missing_is_named(results):
    with pytest.raises(KeyError, match=r"no position1\.seed7\.safetensors"):
        load_agent(results, 1, (0, 7))
    with pytest.raises(KeyError, match=r"no position5\.seed0\.safetensors"):
        load_agent(results, 5, (0,))
    (results / "position3.seed0.safetensors").unlink()
    with pytest.raises(Corrupted, match=r"position3\.seed0\.safetensors: cannot be read"):
        read_run(results)
    damage(results / "run.json", "cut")
    with pytest.raises(Corrupted, match=r"run\.json"):
        read_run(results)
    (results / "run.json").unlink()
    with pytest.raises(Corrupted, match=r"run\.json"):
        load_agent(results, 1, (0,))


def test_a_file_with_the_right_checksum_that_is_no_safetensors_is_refused_by_name(results):
    name, run = "position1.seed0.safetensors", read_run(results)
    (results / name).write_bytes(b"\x80\x04N.")  # a pickle of None
    run["files"][name] = checkpoint.hashlib.sha256(b"\x80\x04N.").hexdigest()
    with pytest.raises(Corrupted, match=name):
        load_agent(results, 1, (0,), run)


# -- resumable state ---------------------------------------------------------------------------------------------------------
def saved(folder, saves=3, width=4):
    """A SeedState after some saves of one position, its tensors and its rows."""
    state, rows = SeedState(folder), np.random.default_rng(0).normal(size=(10 * saves, width)).astype(np.float32)
    with state.lock():
        for n in range(saves):
            tensors = {"x": torch.full((2, 3), float(n)), "generator": torch.Generator().get_state()}
            state.save(tensors, {"position": 0, "round": n}, lambda first: rows[first : 10 * (n + 1)])  # noqa: B023
    return state, tensors, rows


def test_state_comes_back_as_it_was_saved_and_keeps_nothing_else(tmp_path):
    _, tensors, rows = saved(tmp_path)
    again, manifest, log = SeedState(tmp_path).load()
    assert again.keys() == tensors.keys() and all(torch.equal(again[k], tensors[k]) for k in tensors)
    assert np.array_equal(log, rows) and manifest["round"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lock",
        "recent-0.bin",
        "state-3.safetensors",
        "state.json",
    ]
    state = SeedState(tmp_path)
    state.load()
    state.save(tensors, {"position": 1, "round": 0}, lambda first: rows[:0])  # the next position has a log of its own
    assert SeedState(tmp_path).load()[2].shape == (0, 4) and not (tmp_path / "recent-0.bin").exists()


@pytest.mark.parametrize("kind", [*DAMAGE, "gone"])
@pytest.mark.parametrize("name", ["state-3.safetensors", "recent-0.bin"])
def test_damaged_state_is_refused_by_name(tmp_path, name, kind):
    saved(tmp_path)
    if kind == "gone":
        (tmp_path / name).unlink()
    else:
        damage(tmp_path / name, kind)
    if (name, kind) == ("recent-0.bin", "longer"):  # that is what a killed save looks like
        assert len(SeedState(tmp_path).load()[2]) == 30
        return
    with pytest.raises(Corrupted, match=name):
        SeedState(tmp_path).load()


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_manifest_is_refused_by_name_and_says_what_to_do(tmp_path, kind):
    saved(tmp_path)
    damage(tmp_path / "state.json", kind)
    with pytest.raises(Corrupted, match=r"state\.json.*delete"):
        SeedState(tmp_path).place  # noqa: B018


def test_a_manifest_is_checked_however_it_was_written_and_may_be_older_than_its_checksum(tmp_path):
    """Saved, forked and marked; a number that changed is found, the layout does not matter, without a checksum all is taken."""
    saved(tmp_path / "a")
    state = SeedState(tmp_path / "b")
    with state.lock():
        state.fork(SeedState(tmp_path / "a"))
    state.mark(diverged=True, alpha=0.1 + 0.2)
    for folder in ("a", "b"):
        path, known = tmp_path / folder / "state.json", SeedState(tmp_path / folder).manifest
        written = json.loads(path.read_text())
        path.write_text(json.dumps(written, sort_keys=True))
        assert SeedState(path.parent).manifest == known and "self" not in known
        path.write_text(json.dumps(written | {"rows": 29}))
        with pytest.raises(Corrupted, match="checksum"):
            SeedState(path.parent).load()
        path.write_text(json.dumps({k: v for k, v in written.items() if k != "self"}))
        assert SeedState(path.parent).load()[1] == known


def test_a_save_asks_the_replay_for_new_rows_only_and_the_log_is_that_of_all_rows(tmp_path):
    """Also after the state was loaded, and from the beginning in the next position."""
    ring, gens, asked = Replay(2, 20, 1, 2, obs_dim=3, act_dim=1), torch.Generator().manual_seed(0), []
    log_from = lambda first: (asked.append(first), ring.rows_so_far(1, first))[1]
    draw = lambda *shape: torch.randn(2, 4, *shape, generator=gens)
    state = SeedState(tmp_path)
    with state.lock():
        for position, adds in enumerate((3, 2)):
            ring.clear()
            for n in range(adds):
                if n == 2:
                    state = SeedState(tmp_path)
                    state.load()
                ring.add(draw(3), draw(1), draw(), draw(3), draw())
                state.save({}, {"position": position, "round": n}, log_from)
                assert (tmp_path / f"recent-{position}.bin").read_bytes() == ring.data[
                    1, : 4 * (n + 1)
                ].numpy().tobytes()
                assert np.array_equal(SeedState(tmp_path).load()[2], ring.rows_so_far(1))
    assert asked == [0, 4, 8, 0, 4]


def test_what_a_killed_save_left_is_ignored_and_overwritten(tmp_path):
    """Half-written parts, a whole state that no manifest names yet, rows beyond those that count."""
    _, tensors, rows = saved(tmp_path)
    for name in (
        "state.json.part",
        "state-4.safetensors.part",
        "state-4.safetensors",
        "position1.seed0.safetensors.part",
    ):
        (tmp_path / name).write_bytes(b"half")
    with open(tmp_path / "recent-0.bin", "ab") as file:
        file.write(b"rubbish")
    state = SeedState(tmp_path)
    again, manifest, log = state.load()
    assert manifest["serial"] == 3 and torch.equal(again["x"], tensors["x"]) and np.array_equal(log, rows)
    more = np.concatenate([rows, rows[:5] + 1])
    state.save(tensors, {"position": 0, "round": 3}, lambda first: more[first:])
    assert np.array_equal(SeedState(tmp_path).load()[2], more)
    assert (tmp_path / "recent-0.bin").stat().st_size == more.nbytes


def test_a_fork_is_a_copy_that_goes_its_own_way(tmp_path):
    source, tensors, rows = saved(tmp_path / "a")
    fork = SeedState(tmp_path / "b")
    with fork.lock():
        fork.fork(source)
    assert fork.load()[1] == source.manifest and np.array_equal(fork.load()[2], rows)
    fork.mark(diverged=True)
    fork.save(tensors, {"position": 1, "round": 0}, lambda first: rows[:0])
    assert (
        source.manifest["position"] == 0
        and "diverged" not in source.manifest
        and np.array_equal(source.load()[2], rows)
    )


# -- never pickle ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_nothing_in_the_library_pickles(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & {
            "pickle",
            "cPickle",
            "dill",
            "cloudpickle",
            "shelve",
            "marshal",
        }
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert f"{node.value.id}.{node.attr}" not in (
                "torch.load",
                "torch.save",
                "joblib.load",
                "joblib.dump",
                "np.save",
            )
            assert node.attr not in ("read_pickle", "to_pickle")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert node.value.value is False
