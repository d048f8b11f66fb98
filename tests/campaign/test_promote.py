"""Promotion: what is refused before a byte is copied, the order of its steps, and what it says about the expected tables."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_run

from nbsp_lib.artifact import compare
from nbsp_lib.campaign import promote
from nbsp_lib.errors import ConfigError
from nbsp_lib.runs.run import Run

GRID = [("window", "fine-tuning"), ("window", "nbsp")]
OLD = {"claims/claims.csv": b"a\n1\n", "evaluate/window.csv": b"a\n2\n", "gone.csv": b"a\n"}
NEW = {"claims/claims.csv": b"a\n1\n", "evaluate/window.csv": b"a\n3\n", "overlap/window.csv": b"a\n4\n"}


def fill(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A repository with expected tables; shipping and dvc are stubs that note their calls. dvc makes the tables NEW."""
    monkeypatch.chdir(tmp_path)
    made = SimpleNamespace(profile=tiny_run.profile(), calls=[], code=0, root=tmp_path)
    (tmp_path / "dvc.yaml").write_text("")
    fill(tmp_path / "data/expected", OLD | {"machine.json": json.dumps(compare.machine(), indent=1).encode() + b"\n"})

    def ship(run, seeds, out, networks, replace):
        made.calls.append(("ship", str(out), tuple(seeds), networks, *(["replace"] if replace else [])))
        return {seeds[0]: 3} if run.arm == "nbsp" else {}

    def dvc(command, env):
        made.calls.append(("dvc", *command[1:]))
        assert command[0] == sys.executable and env["PATH"].startswith(str(Path(sys.executable).parent))
        fill(tmp_path / "results", {} if made.code else NEW)
        return SimpleNamespace(returncode=made.code)

    monkeypatch.setattr(promote, "ship", ship)
    monkeypatch.setattr(promote.subprocess, "run", dvc)
    monkeypatch.setattr(promote, "load_profile", lambda path: replace(made.profile, profile="shipped", out="results"))
    return made


def runs(profile):
    return [Run(profile, *names) for names in GRID]


def expected(root):
    return {name: data for name, data in promote.contents(root / "data/expected").items() if name != compare.MACHINE}


def test_runs_are_copied_then_tables_made_then_expected(place, capsys):
    assert promote.promote(place.profile, runs(place.profile), (1, 2), networks="last") == 0
    assert place.calls == [("ship", f"data/checkpoints/window/{arm}", (1, 2), "last") for _, arm in GRID] + [
        ("dvc", "-m", "nbsp_lib.artifact.reproduce", "dvc.yaml")
    ]
    assert expected(place.root) == NEW
    assert capsys.readouterr().out.splitlines() == [
        "data/checkpoints/window/fine-tuning: nothing finished",
        "data/checkpoints/window/nbsp: seed 1: 3 of 4",
        "data/expected/evaluate/window.csv: changed",
        "data/expected/gone.csv: gone",
        "data/expected/overlap/window.csv: new",
        "to commit: git add data/checkpoints data/expected docs/images dvc.lock",
    ]
    promote.promote(place.profile, runs(place.profile), (1, 2))
    assert "data/expected: nothing changed" in capsys.readouterr().out


def test_another_machine_and_older_pictures_are_named(place, capsys):
    (place.root / "data/expected/machine.json").write_text("{}")
    fill(
        place.root,
        {"docs/images/curves.png": b"old", "docs/images/other.png": b"x", "results/curves/window/curves.png": b"new"},
    )
    promote.promote(place.profile, runs(place.profile), (1,))
    said = capsys.readouterr().out
    assert "data/expected/machine.json: this machine is the reference now" in said
    assert "cp results/curves/window/curves.png docs/images/curves.png" in said and "other.png" not in said


def test_copy_only_copies_only(place, capsys):
    place.profile = replace(place.profile, train=replace(place.profile.train, batch=17))
    assert promote.promote(tiny_run.profile(), runs(tiny_run.profile()), (1,), copy_only=True) == 0
    assert [call[0] for call in place.calls] == ["ship", "ship"] and expected(place.root) == OLD
    assert capsys.readouterr().out.count("\n") == 2


def test_expected_tables_stand_if_the_pipeline_fails(place, capsys):
    place.code = 255
    assert promote.promote(place.profile, runs(place.profile), (1,)) == 1
    assert expected(place.root) == OLD
    said = capsys.readouterr().err
    assert "exit code 255" in said and said.count("\n") == 1


def other_run(place):
    fill(place.root, {"data/checkpoints/window/nbsp/run.json": b'{"config_hash": "another"}'})


def other_training(place):
    place.profile = replace(place.profile, train=replace(place.profile.train, batch=17))


def no_pipeline(place):
    (place.root / "dvc.yaml").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            other_run,
            "data/checkpoints/window/nbsp: holds a run with other settings; --replace puts the new run in its place",
        ),
        (other_training, r'--profile: "smoke" trains with other settings than params.yaml (batch)'),
        (no_pipeline, "dvc.yaml: not in this folder"),
    ],
)
def test_what_cannot_stand_beside_the_shipped_runs_is_refused_before_anything_is_copied(place, spoil, words):
    trained = place.profile
    spoil(place)
    with pytest.raises(ConfigError, match=re.escape(words)) as refusal:
        promote.promote(trained, runs(trained), (1,))
    assert "\n" not in str(refusal.value) and not place.calls and expected(place.root) == OLD


def test_a_run_with_other_settings_makes_way_if_it_is_said(place):
    other_run(place)
    assert promote.promote(place.profile, runs(place.profile), (1,), copy_only=True, replace=True) == 0
    assert [call[4:] for call in place.calls] == [("replace",), ("replace",)]


def test_the_same_run_is_not_refused(place):
    same = {"config_hash": Run(place.profile, "window", "nbsp").config_hash}
    fill(place.root, {"data/checkpoints/window/nbsp/run.json": json.dumps(same).encode()})
    assert promote.promote(place.profile, runs(place.profile), (1,)) == 0
