"""What may go wrong while a grid is trained: killed at any moment, a full disk, a damaged state, a NaN, a clock that jumps.

Slow: real training by the engine, in a small repository. Every finished grid equals an undisturbed one bit for bit.
"""

import errno
import functools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import campaign
import psutil
import pytest
import tiny_run
from campaign import ROOT, family, until

from nbsp_lib import cli
from nbsp_lib.campaign import launch
from nbsp_lib.runs.run import Run
from nbsp_lib.training.rollout import environments

LINE = "run --sequence window --arm nbsp fine-tuning --seeds 0 1 --positions 2 --jobs 2 --no-compile"
# Imported by the notebook of training before anything else; what it breaks is named in the environment.
FAULTS = """
import os, random, time
from nbsp_lib.training.trainer import Trainer
fault, real, learn = os.environ.get("FAULT"), time.time, Trainer.update
if fault == "clock":
    chance = random.Random(os.getpid())
    time.time = lambda: real() + chance.uniform(-1e5, 1e5)
if fault == "nan":
    def poisoned(self, updates):
        learn(self, updates)
        if 1 in self.seeds and self.position == 1:
            self.agent.actor.params["w1"][self.seeds.index(1), 0, 3, 3] = float("nan")
    Trainer.update = poisoned
"""


def place(folder):
    """A workplace whose notebook of training is breakable."""
    made = campaign.workplace(folder)
    source = folder / "notebooks/pipeline/train.py"
    source.write_text(source.read_text().replace("\nimport pandas", "\nimport faults\nimport pandas"))
    (folder / "faults.py").write_text(FAULTS)
    return made


def start(folder, line=LINE, **env):
    """An engine as a process of its own, its words in folder/said."""
    path = os.pathsep.join([str(ROOT), str(folder)])
    with open(folder / "said", "ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "nbsp_lib.cli", *line.split()],
            cwd=folder,
            stdout=said,
            stderr=said,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | env,
            start_new_session=True,
        )


def finish(folder, line=LINE, **env):
    """-> exit code and words of an engine that is left in peace."""
    (folder / "said").write_text("")
    code = start(folder, line, **env).wait(timeout=600)
    return code, (folder / "said").read_text()


def grid(folder):
    """Every file of the finished grid, but the clocks'."""
    outs = sorted(folder.glob("runs/laptop/checkpoints/window/*"))
    assert [out.name for out in outs] == ["fine-tuning", "nbsp"]
    return {out.name: tiny_run.contents(out) for out in outs}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    place(folder)
    code, said = finish(folder)
    assert code == 0, said
    return grid(folder)


def workers(folder, part):
    """Pids of the processes in folder with `part` in their command line."""

    def command(pid):
        try:
            return " ".join(psutil.Process(pid).cmdline())
        except psutil.Error:
            return ""

    return [pid for pid in family(folder) if part in command(pid)]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "kernel", "engine", "everything"])
def test_a_grid_killed_at_random_moments_ends_as_if_undisturbed(undisturbed, tmp_path, victim):
    place(tmp_path)
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    print("moments drawn with seed", seed)
    engine = start(tmp_path)
    for _ in range(5 if victim == "everything" else 2):
        until(lambda engine=engine: workers(tmp_path, "ipykernel") or engine.poll() is not None, 120)
        time.sleep(chance.uniform(0, 15))
        if engine.poll() is not None:
            break
        parts = {
            "worker": ["nbsp_lib.artifact.notebook "],
            "kernel": ["ipykernel"],
            "engine": ["nbsp_lib.cli"],
            "everything": [""],
        }[victim]
        pids = workers(tmp_path, parts[0])
        for pid in pids if victim == "everything" else pids[:1]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        print("killed", victim, pids)
        if victim in ("engine", "everything"):
            engine.wait()
            if chance.random() < 0.5:  # otherwise the next engine meets the workers that are still saving
                until(lambda: not family(tmp_path), 60)
            engine = start(tmp_path)
    engine.wait(timeout=600)
    code, said = finish(tmp_path)  # a job that was killed twice has failed; the same command goes on
    assert code == 0, said
    assert grid(tmp_path) == undisturbed
    assert not family(tmp_path)


@pytest.mark.slow
def test_a_nan_and_a_damaged_state_stay_with_their_seeds(undisturbed, tmp_path):
    """Seed 1 diverges at position 2, the state of seed 2 is damaged; seed 0 and the report are as they should be."""
    made = place(tmp_path)
    line = "run --sequence window --arm fine-tuning --seeds {} --positions {} --jobs 2 --no-compile"
    assert finish(tmp_path, line.format("2", 1))[0] == 0
    state = Run(made, "window", "fine-tuning", tmp_path / ".state").states((2,))[2]
    path = state.folder / state.manifest["state"]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    code, said = finish(tmp_path, line.format("0 1 2", 2), FAULT="nan")
    assert code == 1 and said.splitlines()[-1] == "2 done, 1 failed"
    assert re.search(r"window fine-tuning seed 1: done, 1 of 4 positions, seed 1 diverged", said)
    assert re.search(
        rf"window fine-tuning seed 2 failed.*\n(.*\n)*.*Corrupted: .*{path.name}: the checksum differs", said
    )
    out = tmp_path / "runs/laptop/checkpoints/window/fine-tuning"
    rows = lambda files: [row for row in files["R.csv"].splitlines() if row.startswith(b"0,")]
    assert rows(tiny_run.contents(out)) == rows(undisturbed["fine-tuning"])
    code, said = finish(tmp_path, "status --sequence window --arm fine-tuning --seeds 0 1 2")
    assert re.search(r"seed 1: 1 of 4 positions, diverged", said)
    assert re.search(r"seed 2: 1 of 4 positions, failed, exit code 1: Corrupted: .*the checksum differs", said)
    shutil.rmtree(state.folder)  # what the message of a damaged state asks for
    assert finish(tmp_path, line.format("0 1 2", 2))[0] == 0


@pytest.mark.slow
def test_a_clock_that_jumps_changes_nothing(undisturbed, tmp_path):
    place(tmp_path)
    engine = start(tmp_path, FAULT="clock")
    said = []
    while engine.poll() is None:
        time.sleep(0.2)
        shown = subprocess.run(
            [sys.executable, "-m", "nbsp_lib.cli", *LINE.replace("run", "status").split()[:8]],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        said.append(shown.stdout + shown.stderr)
    assert engine.returncode == 0 and grid(tmp_path) == undisturbed
    assert "running" in "".join(said) and "stalled" not in "".join(said) and not re.search(r"-\d+ min", "".join(said))


@pytest.fixture
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    environments.cache_clear()
    return campaign.workplace(tmp_path)


def test_a_full_disk_costs_one_line_and_nothing_that_was_saved(inside, tmp_path, monkeypatch, capsys):
    """No room for the third save of position 2: the state is the second one, and with room again the end is the usual one."""
    line = "run --sequence window --arm nbsp --seeds 0 --positions 2 --no-compile".split()
    state, sync, saves = Run(inside, "window", "nbsp").states((0,))[0], os.fsync, []

    def full(number):
        name = os.readlink(f"/proc/self/fd/{number}")
        if name.endswith(".safetensors.part") and "nbsp" in name:
            saves.append(state.manifest)
            if len(saves) == 3:
                os.truncate(name, 100)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(number)

    monkeypatch.setattr(launch, "train_run", functools.partial(launch.train_run, save_every=0.0))
    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(line) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "No space left on device" in said and "goes on when there is room" in said
    assert state.manifest == saves[-1]
    assert cli.main(line) == 0
    monkeypatch.setattr(os, "fsync", sync)
    there = tiny_run.contents(Path(inside.checkpoints) / "window/nbsp")
    shutil.rmtree(".state")
    shutil.rmtree("runs")
    assert cli.main(line) == 0
    assert tiny_run.contents(Path(inside.checkpoints) / "window/nbsp") == there


def small_disk(folder):
    """Whether a file system of 1 MB could be mounted at `folder`."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True)
    return mounted.returncode == 0


@pytest.mark.slow
def test_a_disk_that_fills_up_fails_the_job_until_there_is_room(tmp_path):
    """The states lie on a tiny disk of their own; the last save stands and is gone on from."""
    made = place(tmp_path)
    folder = Run(made, "window", "nbsp", tmp_path / ".state").states((0,))[0].folder
    if not small_disk(folder):
        pytest.skip("needs the right to mount")
    try:
        line = "run --sequence window --arm nbsp --seeds 0 --positions 2 --jobs 1 --no-compile"
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(800_000))
        code, said = finish(tmp_path, line)
        assert code == 1 and "No space left on device" in said and said.count("once more") == 1
        ballast.unlink()
        code, said = finish(tmp_path, line)
        assert code == 0, said
        assert not family(tmp_path)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
