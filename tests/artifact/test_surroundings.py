"""What surrounds the project and must not matter: a renderer that is missing, PYTHONOPTIMIZE, an environment that is broken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nbsp_lib.methods.check import CHECKS
from nbsp_lib.usage import EXAMPLES, TEXTS

ROOT = Path(__file__).resolve().parents[2]
SIMULATORS = ("mujoco", "metaworld", "dm_control")


def python(*words, **env):
    given = os.environ | {"OMP_NUM_THREADS": "1"} | env
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "env",
    [{"MUJOCO_GL": "osmesa"}, {"MUJOCO_GL": "nonsense", "PYOPENGL_PLATFORM": "osmesa"}, {"PYTHONOPTIMIZE": "2"}],
    ids=str,
)
def test_status_needs_no_simulator_and_no_docstring(env):
    code = f"import sys\nfrom nbsp_lib.cli import main\nmain(sys.argv[1:])\nprint([n for n in {SIMULATORS} if n in sys.modules])"
    done = python("-c", code, "status", "--profile", "smoke", **env)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stderr


def test_what_the_ledger_of_claims_imports_needs_no_simulator():
    code = f"import sys, nbsp_lib.results.ledger, nbsp_lib.artifact.compare\nprint([n for n in {SIMULATORS} if n in sys.modules])"
    assert python("-c", code).stdout == "[]\n"


def test_simulators_are_imported_whatever_renderer_is_named():
    done = python(
        "-c", "import nbsp_lib.envs.metaworld, nbsp_lib.envs.dmc as d; d.build('cartpole-balance')", MUJOCO_GL="osmesa"
    )
    assert done.returncode == 0, done.stderr


def test_films_get_the_renderer_that_was_asked_for():
    code = "import os, nbsp_lib; print(nbsp_lib.RENDERER, os.environ['MUJOCO_GL'])"
    assert python("-c", code, MUJOCO_GL="egl").stdout == "{'MUJOCO_GL': 'egl'} disable\n"


def test_help_is_the_same_without_docstrings():
    assert set(TEXTS) == set(EXAMPLES) and all(CHECKS.values())
    for words in ([], *([name] for name in TEXTS)):
        plain, bare = (python("-m", "nbsp_lib.cli", *words, "--help", PYTHONOPTIMIZE=level) for level in ("0", "2"))
        assert bare.stdout == plain.stdout and bare.returncode == 0
        assert all(TEXTS[name].splitlines()[0][:40] in plain.stdout for name in words or TEXTS)


@pytest.fixture
def clone(tmp_path):
    """A clone below a path with a blank, whose pip does nothing."""
    folder = tmp_path / "sp ace"
    folder.mkdir()
    for name in ("pyproject.toml", "requirements.lock", ".git"):
        (folder / name).write_text("")
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text().replace("$(PY) -m pip install", "@: pip"))
    return folder


def setup(folder, *words, path="", **env):
    given = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "CONDA", "MAKE"))}
    python_here = os.path.realpath(Path(sys.executable).parent / "python3.11")
    (folder.parent / "bin").mkdir(exist_ok=True)
    real = folder.parent / "bin/python3.12"  # found after python3.11: a working one under another name
    if not real.exists():
        real.write_text(f'#!/bin/sh\nexec "{python_here}" "$@"\n')
        real.chmod(0o755)
    given["PATH"] = f"{path}:{real.parent}:{given['PATH']}"
    return subprocess.run(
        ["make", "setup", *words], cwd=folder, env=given | env, capture_output=True, text=True, check=False
    )


def works(folder):
    return subprocess.run([folder / ".venv/bin/python", "-c", ""], check=False).returncode == 0


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("case", ["stale", "lost", "own with a blank", "shim"])
def test_setup_repairs(clone, case):
    env, path = {}, ""
    if case == "stale":
        (clone / ".venv/bin").mkdir(parents=True)
        (clone / ".venv/bin/python").symlink_to("/nonexistent/python3.11")
    if case == "lost":  # set up once, then its Python went away
        assert setup(clone).returncode == 0
        for python in (clone / ".venv/bin").glob("python*"):
            python.unlink()
    if case == "own with a blank":
        env = {"VIRTUAL_ENV": str(clone / ".venv")}
    if case == "shim":
        (clone.parent / "shims").mkdir()
        (clone.parent / "shims/python3.11").write_text("#!/bin/sh\nexit 127\n")
        (clone.parent / "shims/python3.11").chmod(0o755)
        path = str(clone.parent / "shims")
    done = setup(clone, path=path, **env)
    assert done.returncode == 0 and works(clone), done.stderr
    assert {each.name for each in clone.parent.iterdir()} <= {"sp ace", "bin", "shims"}


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        ([], {"VIRTUAL_ENV": "/tmp/an other/.venv"}, "holds a blank"),
        ([], {"VIRTUAL_ENV": "/nonexistent/venv"}, "has no Python that runs"),
        (["PYTHON=/nonexistent/python"], {}, "does not run"),
        (["PYTHON="], {}, "no Python 3.11 or 3.12"),
    ],
)
def test_setup_says_what_to_do(clone, words, env, said):
    done = setup(clone, *words, **env)
    assert done.returncode and said in done.stdout + done.stderr and not (clone / ".venv").exists()
