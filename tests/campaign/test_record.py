"""What an engine trained is recorded with DVC as if DVC had run it, and only what is finished."""

import json
import subprocess
import sys
from pathlib import Path

import campaign
import pytest

from nbsp_lib.campaign import dvc_record
from nbsp_lib.runs.run import Run

STAGES = """stages:
  train:
    matrix:
      sequence: [window]
      arm: [nbsp]
    wdir: ../..
    cmd: >-
      python -m nbsp_lib.artifact.notebook source.py
      runs/note.ipynb -p out runs/laptop/checkpoints/${item.sequence}/${item.arm}
    deps: [source.py]
    outs:
      - runs/laptop/checkpoints/${item.sequence}/${item.arm}
      - runs/note.ipynb
"""
SOURCE = """# %% tags=["parameters"]
out = ""

# %%
from pathlib import Path
Path("runs/calls").open("a").write("called\\n")
Path(out).joinpath("networks").exists()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(campaign.ROOT))
    return campaign.workplace(tmp_path)


def finish(profile, seeds, positions=4):
    """States and run.json of `seeds` as training would leave them."""
    run = Run(profile, "window", "nbsp")
    out = run.folder
    out.mkdir(parents=True, exist_ok=True)
    for state in run.states(seeds).values():
        state.folder.mkdir(parents=True, exist_ok=True)
        state.write({"position": positions, "round": 0, "serial": 1})
    (out / "run.json").write_text(
        json.dumps(
            {"config_hash": run.config_hash, "diverged": [], "finished": {str(seed): positions for seed in seeds}}
        )
    )


def test_only_complete_stages_of_the_profile_are_recorded(place):
    grid = [("window", "nbsp"), ("window", "mask-only"), ("window-close", "fine-tuning")]
    runs = [Run(place, *one) for one in grid]
    assert [dvc_record.stage_of(run) for run in runs] == [None] * 3  # the profile has no pipeline
    (Path(place.here).with_name("dvc.yaml")).write_text(STAGES)
    file = "profiles/laptop/dvc.yaml"
    assert [dvc_record.stage_of(run) for run in runs] == [
        (file, "train@window-nbsp"),
        None,
        (file, "alone@window-close-fine-tuning"),
    ]
    assert dvc_record.recordings(runs) == []
    finish(place, place.seeds[:1])
    assert dvc_record.recordings(runs) == []
    finish(place, place.seeds, positions=3)
    assert dvc_record.recordings(runs) == []
    finish(place, place.seeds)
    (made,) = dvc_record.recordings(runs)
    assert made.command[3:] == (file, "train@window-nbsp")
    runs[0].states(place.seeds)[0].mark(position=0)  # the command would train it again
    assert dvc_record.recordings(runs) == []


@pytest.mark.slow
def test_dvc_finds_nothing_to_do_afterwards(place, tmp_path):
    finish(place, place.seeds)
    Path("dvc.yaml").unlink()
    Path("profiles/laptop/dvc.yaml").write_text(STAGES)
    Path("source.py").write_text(SOURCE)
    dvc = lambda *words: (
        subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=True).stdout
    )
    dvc("init", "--no-scm", "-q")
    before = Path(place.checkpoints, "window/nbsp/run.json").read_bytes()
    (made,) = dvc_record.recordings([Run(place, "window", "nbsp")])
    for _ in range(2):
        ended = subprocess.run(made.command, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == "1 of 1 stages are recorded in profiles/laptop/dvc.lock\n"
    assert Path("runs/calls").read_text() == "called\n"  # recorded already, the second time
    assert Path(place.checkpoints, "window/nbsp/run.json").read_bytes() == before
    assert dvc("status", "--json", "profiles/laptop/dvc.yaml").strip() == "{}"
