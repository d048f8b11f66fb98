"""Runs of another clone, trained by another version of the code: merged seed by seed, with what was recorded where they were."""

import json
import re
import shutil
from pathlib import Path

import pytest
import tiny_run
from test_ship import finished

from nbsp_lib.campaign import promote
from nbsp_lib.errors import ConfigError
from nbsp_lib.runs import export, fingerprint
from nbsp_lib.runs.run import Run
from nbsp_lib.runs.state import Corrupted, read_run

OUT, THERE = "data/checkpoints/window/nbsp", "runs/smoke/checkpoints/window/nbsp"
CARD = {"torch": "9.0", "python": "3.12"}


def clone_at(folder, positions, made=None):
    """A clone with the result folder of seeds {seed: positions}, timed on a card and trained by the code "f" * 16."""
    made = made or tiny_run.profile()
    with pytest.MonkeyPatch.context() as patch:
        for module in (fingerprint, export):
            patch.setattr(module, "code_hash", lambda method: "f" * 16)
        for seed, k in positions.items():
            finished(folder / ".state", seed, k, made, versions=CARD)
            state = Run(made, "window", "nbsp", folder / ".state").states((seed,))[seed]
            state.mark(hardware="a card", compiled=True, population=len(positions))
        export.ship(Run(made, "window", "nbsp", folder / ".state"), tuple(positions), folder / THERE)
    return folder


@pytest.fixture
def house(tmp_path, monkeypatch):
    """The clone that promotes: it ships two positions each of the seeds 0 and 1."""
    (tmp_path / "house").mkdir()
    monkeypatch.chdir(tmp_path / "house")
    for seed in (0, 1):
        finished(".state", seed, 2)
    export.ship(Run(tiny_run.profile(), "window", "nbsp"), (0, 1), OUT)
    return tmp_path


def taken(clone, seeds=None, made=None, **how):
    made = made or tiny_run.profile()
    return promote.promote(made, promote.runs_of(made, clone), seeds, copy_only=True, clone=clone, **how)


def test_the_further_seed_counts_and_keeps_what_was_recorded_where_it_was_trained(house, capsys):
    """Seed 0 is a draw, seed 1 stands further there, seed 2 is there alone."""
    clone, own = clone_at(house / "campaign", {0: 2, 1: 3, 2: 1}), read_run(OUT)
    before = tiny_run.contents(OUT)
    assert taken(clone) == 0
    assert capsys.readouterr().out == f"{OUT}: seed 1: 3 of 4, before 2, seed 2: 1 of 4\n"
    run, there = read_run(OUT), read_run(clone / THERE)
    assert (
        run["finished"] == {"0": 2, "1": 3, "2": 1} and run["config_hash"] == own["config_hash"] == there["config_hash"]
    )
    assert run["code"] == {"0": own["code"]["0"], "1": "f" * 16, "2": "f" * 16} != own["code"]
    assert run["versions"] == own["versions"] and run["versions_of"] == {"1": CARD, "2": CARD}
    timing, theirs = (json.loads((folder / "timing.json").read_text()) for folder in (Path(OUT), clone / THERE))
    assert timing["0"]["hardware"] == "a cpu" and timing["1"] == theirs["1"] and timing["2"] == theirs["2"]
    assert timing["2"]["mode"] == "compiled" and timing["2"]["hardware"] == "a card" and timing["2"]["population"] == 3
    for seed, source in ((0, before), (1, tiny_run.contents(clone / THERE)), (2, tiny_run.contents(clone / THERE))):
        mine = tiny_run.contents(OUT, seed)
        for name, data in mine.items():
            wanted = source[name]
            if name.endswith(".csv"):
                wanted = [line for line in wanted.splitlines() if line.startswith(f"{seed},".encode())]
            assert data == wanted, (seed, name)
        assert {f"position{k}.seed{seed}.safetensors" for k in range(1, run["finished"][str(seed)] + 1)} < set(mine)
    after = tiny_run.contents(OUT)
    assert taken(clone) == 0 and tiny_run.contents(OUT) == after
    assert capsys.readouterr().out == f"{OUT}: nothing further\n"


def test_seeds_sequences_and_arms_may_be_chosen_and_what_is_half_shipped_is_not_seen(house):
    clone, profile = clone_at(house / "campaign", {1: 4, 2: 4}), tiny_run.profile()
    for rest in ("nbsp.part", "nbsp.old"):
        shutil.copytree(clone / THERE, (clone / THERE).with_name(rest))
    shutil.copytree(clone / THERE, clone / "runs/smoke/checkpoints/window-close/fine-tuning")
    grid = [("window", "nbsp"), ("window-close", "fine-tuning")]
    named = lambda *chosen, **how: [(run.sequence, run.arm) for run in promote.runs_of(profile, clone, *chosen, **how)]
    assert named() == grid and named(["window"]) == named(arms=["nbsp"]) == grid[:1]
    for nothing in ((clone, ["drawer"]), (clone, ["window"], ["ewc"]), (house / "nowhere",)):
        with pytest.raises(ConfigError, match=r"--from: .*runs/smoke/checkpoints holds none of these runs"):
            promote.runs_of(profile, *nothing)
    assert promote.promote(profile, [Run(profile, "window", "nbsp")], (2,), copy_only=True, clone=clone) == 0
    assert read_run(OUT)["finished"] == {"0": 2, "1": 2, "2": 4}


def test_other_settings_are_refused_in_one_line_before_anything_is_copied(house):
    """There, and here; here they make way if it is said."""
    other, before = tiny_run.profile(batch=17), tiny_run.contents(OUT)
    clone = clone_at(house / "campaign", {5: 1}, other)
    for made, words in (
        (None, f"{clone / THERE}: holds a run with other settings"),
        (other, f"{OUT}: holds a run with other settings; --replace"),
    ):
        with pytest.raises(ConfigError, match=re.escape(words)) as refusal:
            taken(clone, made=made)
        assert "\n" not in str(refusal.value) and tiny_run.contents(OUT) == before
    with pytest.raises(ConfigError, match="other settings"):
        taken(clone, replace=True)  # the profile here is another one than the clone's
    assert taken(clone, (4,), other, replace=True) == 0 and tiny_run.contents(OUT) == before  # nothing to take
    assert taken(clone, made=other, replace=True) == 0
    run = read_run(OUT)
    assert run["seeds"] == [5] and run["versions"] == CARD and run["config"]["train"]["batch"] == 17


@pytest.mark.parametrize("name", ["R.csv", "position2.seed1.safetensors"])
def test_a_damaged_file_there_is_refused_by_name_and_nothing_here_changes(house, name):
    clone, before = clone_at(house / "campaign", {1: 3}), tiny_run.contents(OUT)
    with open(clone / THERE / name, "ab") as file:
        file.write(b"0")
    with pytest.raises(Corrupted, match=re.escape(name)):
        taken(clone)
    assert tiny_run.contents(OUT) == before


def test_a_run_that_was_trained_before_versions_were_kept_per_seed_is_taken_and_its_timing_may_be_missing(house):
    clone = clone_at(house / "campaign", {1: 3})
    (clone / THERE / "timing.json").unlink()
    shutil.rmtree(clone / ".state")  # only what DVC keeps was copied here
    assert taken(clone) == 0
    assert read_run(OUT)["versions_of"] == {"1": CARD} and set(json.loads(Path(OUT, "timing.json").read_text())) == {
        "0"
    }
