"""Where one stands: in a subfolder, outside a clone, in another clone than the one whose library runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nbsp_lib.artifact import compare, doctor
from nbsp_lib.errors import ConfigError
from nbsp_lib.runs import clone
from nbsp_lib.runs.files import enter_repository

ROOT = Path(__file__).resolve().parents[2]
CLI = "import sys; from nbsp_lib.cli import main; sys.exit(main(sys.argv[1:]))"


def copy(folder, library=True):
    """A clone at `folder`, as far as these tests need one; its library is broken, so that it cannot pass for ours."""
    (folder / "profiles/smoke").mkdir(parents=True)
    for name in (
        "params.yaml",
        "profiles/smoke/params.yaml",
        "dvc.yaml",
        "Makefile",
        "pyproject.toml",
        "requirements.lock",
    ):
        shutil.copy(ROOT / name, folder / name)
    if library:
        (folder / "nbsp_lib").mkdir()
        (folder / "nbsp_lib/__init__.py").write_text("")
    return folder


def ours(folder, *words, code=CLI):
    """What this library says, started in `folder` as the console script is: without the current folder on its path."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("below", [".", "docs", "profiles/smoke"])
@pytest.mark.parametrize("words", [("status", "--profile", "smoke"), ("run", "--profile", "smoke", "--arm", "nbsp")])
def test_the_library_of_another_clone_is_refused_in_one_line(tmp_path, below, words):
    (copy(tmp_path) / below).mkdir(exist_ok=True)
    told = ours(tmp_path / below, *words)
    assert told.returncode == 2 and told.stdout == "" and told.stderr.count("\n") == 1
    assert f"it runs from {ROOT}" in told.stderr and f"the clone {tmp_path}" in told.stderr
    assert not (tmp_path / ".state").exists()


def test_the_runner_the_notebooks_and_doctor_refuse_it_too(tmp_path, monkeypatch):
    copy(tmp_path)
    told = ours(tmp_path, "notebooks/results/claims.py", "out.ipynb", code=CLI.replace(".cli", ".artifact.notebook"))
    assert told.returncode == 2 and told.stderr.count("\n") == 1 and f"the clone {tmp_path}" in told.stderr
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="another clone's library"):
        enter_repository()
    assert [grade for grade, _ in doctor.checkout()] == ["FAIL"]


def test_ones_own_library_is_fine_by_any_path_and_outside_a_clone_too(tmp_path, monkeypatch):
    """By a link to the clone; in a folder that is no clone (a plain library, from a wheel perhaps); where there is no library."""
    (tmp_path / "link").symlink_to(ROOT)
    for place in (ROOT, ROOT / "docs", tmp_path / "link", tmp_path, copy(tmp_path / "data-only", library=False)):
        monkeypatch.chdir(place)
        assert clone.foreign() is None
    monkeypatch.chdir(ROOT)
    assert [grade for grade, _ in doctor.checkout()] == ["ok"]
    monkeypatch.setattr(clone.nbsp_lib, "__file__", str(tmp_path / "site-packages/nbsp_lib/__init__.py"))
    assert "site-packages" in clone.foreign()  # a wheel's copy in a clone: its processes would import the clone's


@pytest.mark.parametrize("below", ["docs", "profiles/smoke"])
def test_from_a_subfolder_the_root_is_found(below):
    at_root, told = (ours(place, "status", "--profile", "smoke", "--arm", "nbsp") for place in (ROOT, ROOT / below))
    assert told.returncode == 0 and told.stdout == at_root.stdout and told.stdout
    assert told.stderr == f"in {ROOT}\n" and at_root.stderr == ""


def test_paths_are_seen_from_where_they_were_typed(tmp_path):
    told = ours(ROOT / "docs", "check-method", "my_method.py:Anchor")
    assert told.returncode == 0, told.stderr
    (tmp_path / "campaign").mkdir()
    place = copy(tmp_path / "here", library=False) / "sub"
    place.mkdir()
    told = ours(place, "promote", "--profile", "smoke", "--from", "../../campaign")
    assert told.returncode == 2 and f"--from: {tmp_path}/campaign/runs/smoke/checkpoints holds none" in told.stderr


def test_outside_a_clone_it_says_so(tmp_path):
    for words in (("status",), ("run", "--profile", "smoke"), ("plan", "--profile", "shipped")):
        told = ours(tmp_path, *words)
        assert told.returncode == 2 and told.stderr.count("\n") == 1
        assert f"{tmp_path}: neither this folder nor one above is a clone" in told.stderr


def test_a_python_without_the_packages_says_what_to_activate():
    """As `dvc repro` meets it outside the environment: -S leaves out what is installed."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-m", "nbsp_lib.artifact.notebook", "a.py", "b.ipynb"]
    told = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert told.returncode == 1 and told.stderr.count("\n") == 1 and "source .venv/bin/activate" in told.stderr
    for name in ("README.md", "REPRODUCE.md"):
        assert "\nsource .venv/bin/activate" in (ROOT / name).read_text()


@pytest.fixture
def shared(tmp_path):
    """An environment that holds the library of the clone `first`: (environment, first, second)."""
    first, second, env = copy(tmp_path / "first"), copy(tmp_path / "second"), tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    (site,) = env.glob("lib/python*/site-packages")
    (site / "editable.pth").write_text(f"{first}\n")
    (env / ".nbsp-installed").touch()
    return env, first, second


def setup(folder, env):
    words = ["make", "--no-print-directory", "-n", "setup", f"VENV={env}"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)


def test_make_leaves_an_environment_to_the_clone_that_has_it(shared):
    """The stamp of make lies in the environment, and says nothing of whose library is in it."""
    env, first, second = shared
    told = setup(second, env)
    assert told.returncode == 2 and "pip install" not in told.stdout
    assert re.fullmatch(rf"Makefile:\d+: \*\*\* {env} holds the nbsp-lib of {first}: .*\n", told.stderr)
    told = setup(first, env)
    assert told.returncode == 0 and "pip install" not in told.stdout  # nothing to do
    shutil.rmtree(first / "nbsp_lib")  # gone, or uninstalled
    told = setup(second, env)
    assert told.returncode == 0 and "pip install" in told.stdout


def test_a_changed_dvc_lock_is_explained_off_the_reference_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("results", "expected"):
        Path(folder).mkdir()
        Path(folder, "a.csv").write_text("x\n1\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    git = lambda *words: subprocess.run(["git", *identity, *words], check=True, capture_output=True)

    def said():
        assert compare.main(["results", "expected"]) == 0
        return capsys.readouterr().out.splitlines()

    assert not any("dvc.lock" in line for line in said())  # no git
    git("init", "-q")
    Path("dvc.lock").write_text("a: 1\n")
    git("add", "dvc.lock")
    git("commit", "-q", "-m", "lock")
    assert not any("dvc.lock" in line for line in said())
    Path("dvc.lock").write_text("a: 2\n")
    assert "git checkout dvc.lock" in said()[-1]
    monkeypatch.setattr(compare, "reference", lambda expected: True)
    assert not any("dvc.lock" in line for line in said())
