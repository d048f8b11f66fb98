"""Stages side by side: the same record as `dvc repro` makes, only what changed anew, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nbsp_lib.artifact import reproduce
from nbsp_lib.artifact.stages import Pipeline
from nbsp_lib.runs.strict import read_yaml

ROOT = Path(__file__).resolve().parents[2]
STAGES = """stages:
  page:
    matrix: {name: [one, two]}
    cmd: python -m nbsp_lib.artifact.notebook ${item.name}.py out/${item.name}.ipynb -p out out/${item.name}.txt
    deps: ["${item.name}.py", shared]
    outs: ["out/${item.name}.txt", "out/${item.name}.ipynb"]
  both:
    cmd: cat out/one.txt out/two.txt > both.txt
    deps: [out/one.txt, out/two.txt]
    outs: [both.txt]
"""
PAGE = """# %% tags=["parameters"]
out = ""

# %%
from pathlib import Path

import pandas as pd
import seaborn
from matplotlib import pyplot as plt

Path(out).write_text("{name} {text}\\n")
print(object())
print(pd.DataFrame([range(30)]))            # pandas cuts it short in a kernel only

# %%
seaborn.lineplot(x=[1, 2], y=[3, 1])
plt.show()
"""


def pipeline(folder):
    """A repository of two pages and what joins them, without git."""
    (folder / "shared").mkdir(parents=True)
    (folder / "shared/a").write_text("1\n")
    (folder / "dvc.yaml").write_text(STAGES)
    for name in ("one", "two"):
        (folder / f"{name}.py").write_text(PAGE.format(name=name, text=1))
    call(folder, "dvc", "init", "--no-scm", "-q")
    return folder


def environment():
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PYTHONPATH": str(ROOT), "PATH": path, "OMP_NUM_THREADS": "1"}


def call(folder, *words):
    """The finished process of `python -m words`."""
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environment(), capture_output=True, text=True, timeout=600
    )


def run(folder, *options):
    return call(folder, "nbsp_lib.artifact.reproduce", "dvc.yaml", *options)


def ran(told):
    """The stages that were begun, sorted."""
    return sorted(
        line.split()[3] for line in told.stdout.splitlines() if line.split()[4:5] == ["begins"] or "begins;" in line
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A pipeline that two processes brought up to date, and what they said."""
    folder = pipeline(tmp_path_factory.mktemp("two"))
    return folder, run(folder, "--jobs", "2")


def test_the_record_is_that_of_dvc_and_no_number_of_processes_changes_it(done, tmp_path):
    """dvc.lock names every output by its md5, executed pages and their figures among them."""
    folder, told = done
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-1] == "dvc.yaml: all 3 stages are up to date, 3 of them ran"
    alone, plain = pipeline(tmp_path / "alone"), pipeline(tmp_path / "plain")
    assert run(alone, "--jobs", "1").returncode == 0
    assert call(plain, "dvc", "repro").returncode == 0
    records = [read_yaml(place / "dvc.lock") for place in (folder, alone, plain)]  # the order of new entries is free
    assert records[0] == records[1] == records[2]
    for name in ("out/one.ipynb", "out/two.ipynb", "both.txt"):
        assert (folder / name).read_bytes() == (alone / name).read_bytes() == (plain / name).read_bytes(), name
    assert "Data and pipelines are up to date" in call(folder, "dvc", "repro").stdout
    assert "image/png" in (folder / "out/one.ipynb").read_text()


def test_a_touched_page_redoes_itself_and_what_reads_it(done):
    folder, _ = done
    (folder / "two.py").write_text(PAGE.format(name="two", text=2))
    told = run(folder)
    assert told.returncode == 0 and ran(told) == ["both", "page@two"]
    assert (folder / "both.txt").read_text() == "one 1\ntwo 2\n"
    (folder / "two.py").write_text(PAGE.format(name="two", text=1))
    told = run(folder)
    assert ran(told) == [] and told.stdout.count("taken from the cache") == 2


def test_a_failing_page_is_named_and_the_others_are_recorded(tmp_path):
    folder = pipeline(tmp_path / "here")
    (folder / "one.py").write_text(PAGE.format(name="one", text=1) + "\n# %%\nraise ValueError('no good')\n")
    told = run(folder, "--jobs", "2")
    assert told.returncode == 1 and "ValueError: no good" in told.stderr
    assert told.stderr.splitlines()[-1] == "dvc.yaml: page@one failed, see .state/pipeline/dvc/page@one.log"
    assert (folder / "out/two.txt").exists() and not (folder / "both.txt").exists()
    (folder / "one.py").write_text(PAGE.format(name="one", text=1))
    told = run(folder)
    assert told.returncode == 0 and ran(told) == ["both", "page@one"]
    (folder / "shared/a").unlink()
    (folder / "shared").rmdir()
    told = run(folder, "--jobs", "1")
    assert told.returncode == 1 and "shared" in told.stderr and "failed, see" in told.stderr  # in DVC's words
    assert (folder / "out/one.txt").exists() and (folder / "out/two.txt").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_process_and_goes_on(tmp_path, number):
    """Both as a terminal sends Ctrl-C, to the whole group, and as `kill` does, to the first process."""
    folder = pipeline(tmp_path / "here")
    slow = "\n# %%\nimport time\nPath('started').write_text('')\ntime.sleep(300)\n"
    (folder / "one.py").write_text(PAGE.format(name="one", text=1) + slow)
    command = [sys.executable, "-m", "nbsp_lib.artifact.reproduce", "dvc.yaml", "--jobs", "2"]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    limit = time.monotonic() + 300
    while not (folder / "started").exists() or not (folder / "out/two.ipynb").exists():
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.1)
    time.sleep(2)  # until the finished one is recorded
    family = psutil.Process(process.pid).children(recursive=True)
    assert any(len(one.children()) for one in family)  # a runner and its kernel
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number and "the same command goes on from here" in said
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert not (folder / "out/one.ipynb").exists()
    (folder / "one.py").write_text(PAGE.format(name="one", text=1))
    assert ran(run(folder)) == ["both", "page@one"]


def test_the_longest_chain_goes_first_and_time_left_is_the_work_or_the_chain():
    """By hand: b (3 s) and then c (4 s) wait for a (1 s), d (2 s) for nothing."""
    needs = {"a": set(), "b": {"a"}, "c": {"b"}, "d": set()}
    seconds = reproduce.expected_seconds(needs, {"a": 1.0, "b": 3.0, "c": 4.0, "d": 2.0})
    ways = reproduce.way_to_the_end(needs, seconds)
    assert ways == {"a": 8.0, "b": 7.0, "c": 4.0, "d": 2.0}
    assert reproduce.minutes_left(seconds, ways, 1, 1) == pytest.approx(10 / 60)  # all the work
    assert reproduce.minutes_left(seconds, ways, 1, 2) == pytest.approx(8 / 60)  # the chain
    assert reproduce.minutes_left({"c": 2.0, "d": 2.0}, ways, 3, 2) == pytest.approx(3 * 4 / 60)
    assert reproduce.minutes_left({}, ways, 1, 2) == 0
    assert reproduce.expected_seconds(["new"], {"a": 1.0, "b": 3.0, "c": 5.0}) == {"new": 3.0}


@pytest.fixture(scope="module")
def stages():
    """The root's stages, {name: (dependencies, names of the stages that they come from)}."""
    place = Path.cwd()
    os.chdir(ROOT)
    try:
        ours = Pipeline("dvc.yaml")
        return {name: ({dep.def_path for dep in stage.deps}, ours.needs[name]) for name, stage in ours.stages.items()}
    finally:
        ours.close()
        os.chdir(place)


def test_what_runs_or_starts_pages_redoes_none(stages):
    """An edit of nbsp_lib/artifact or nbsp_lib/campaign changes no number; the report documents the library."""
    for name, (deps, _) in stages.items():
        redone = [
            dep
            for dep in deps
            if any(f"nbsp_lib/{part}/x.py".startswith(f"{dep}/") for part in ("artifact", "campaign"))
        ]
        assert bool(redone) == (name == "report"), (name, redone)
        if name != "report":
            folders = {"core", "envs", "errors.py", "methods", "results", "runs", "training"}
            assert {f"nbsp_lib/{one}" for one in folders} <= deps, name


def test_a_touched_notebook_redoes_its_page_and_the_report(stages):
    """Every page is read by one kind of stage; only the neurons' scores are read by other pages."""
    readers = {}
    for name, (deps, _) in stages.items():
        for dep in deps:
            if dep.startswith("notebooks/") and dep.endswith(".py"):
                readers.setdefault(dep, []).append(name)
    shown = {path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").rglob("*.py")} - {
        "notebooks/pipeline/train.py"
    }
    assert set(readers) == shown
    for source, names in readers.items():
        stem = Path(source).stem
        again = {"second_pair"} if stem == "retention" else set()  # one page, of two pairs of tasks
        assert all(name.split("@")[0] == stem or f"@{stem}" in name for name in {*names} - again), (source, names)
        after = {name for name, (_, needs) in stages.items() if needs & set(names)} - {"report"}
        assert all(name.startswith("analysis@") for name in after) and bool(after) == (stem == "neurons")
    assert stages["report"][1] == set(stages) - {"report"}
