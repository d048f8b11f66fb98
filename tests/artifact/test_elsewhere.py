"""The library away from its clone: from a wheel, and the text of the Dockerfile."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from nbsp_lib.runs.strict import read_yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
# instruction -> what follows it, with continued lines joined
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
STEPS = [tuple(line.split(None, 1)) for line in LINES]


def test_the_image_has_the_python_that_the_project_asks_for():
    (base,) = [rest for word, rest in STEPS if word == "FROM"]
    version = re.fullmatch(r"python:(3\.\d+)-slim", base)[1]  # a name of Docker Hub, no registry before it
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert Requirement(f"python{wanted}").specifier.contains(version)
    assert f"python={version}" in read_yaml(ROOT / "environment.yml")["dependencies"]
    assert "://" not in TEXT and not re.search(r"\w\.(org|com|io|net|dev)\b", TEXT)


def test_the_image_installs_torch_of_the_lock_then_the_project_and_runs_reproduce():
    words = [word for word, _ in STEPS]
    copied = [rest.split() for word, rest in STEPS if word == "COPY"]
    assert copied == [["requirements.lock", "./"], [".", "."]]
    (torch_first,) = [k for k, (word, rest) in enumerate(STEPS) if word == "RUN" and "torch==" in rest]
    assert words.index("COPY") < torch_first < len(words) - 1 - words[::-1].index("COPY")
    asked = re.search(r'"\$\((.*?)\)"', STEPS[torch_first][1])[1]
    pin = subprocess.run(asked, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert re.fullmatch(r"torch==[\d.]+", pin) and pin in (ROOT / "requirements.lock").read_text().splitlines()
    assert STEPS[-2:] == [("RUN", "make setup"), ("CMD", '["make", "reproduce"]')]
    assert {"setup", "reproduce"} <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def test_what_the_image_copies_leaves_out_what_is_made():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".venv", ".state", "results", "runs"} <= set(ignored)
    assert not {"data", "notebooks", "requirements.lock", "pyproject.toml", "Makefile"} & set(ignored)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """call(*words) in an empty folder, with the library from a wheel and everything else from this environment."""
    place = tmp_path_factory.mktemp("away")
    (place / "source").mkdir()
    for name in ("nbsp_lib", "pyproject.toml", "README.md", "LICENSE"):  # a copy: a build writes beside its sources
        subprocess.run(["cp", "-r", ROOT / name, place / "source"], check=True)
    pip, quiet = [sys.executable, "-m", "pip"], ["--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *quiet, "--no-build-isolation", "-w", place, place / "source"], check=True)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "env", with_pip=False)
    python = place / "env/bin/python"
    subprocess.run([*pip, "--python", python, "install", *quiet, wheel], check=True)
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    inside = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    # .pth files in a folder that a .pth file names are not read: the clone's own library stays out
    Path(inside, "heavy.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (place / "empty").mkdir()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}

    def call(program, *words):
        return subprocess.run(
            [place / "env/bin" / program, *map(str, words)],
            cwd=place / "empty",
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.mark.slow
def test_a_wheel_serves_networks_methods_and_environments(installed):
    code = (
        "import nbsp_lib, nbsp_lib.core.sac, nbsp_lib.methods\n"
        "import nbsp_lib.envs.metaworld, nbsp_lib.envs.dmc, nbsp_lib.envs.atari\n"
        "from nbsp_lib.extras.gym_cycle import TaskCycle\n"
        "print(nbsp_lib.__file__, TaskCycle('window').reset(seed=0)[0].shape)"
    )
    done = installed("python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert "env/lib" in done.stdout and str(ROOT) not in done.stdout and "(39,)" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("sac_population", "train(seeds=(0, 1), E=2, steps=12, learning_starts=8, batch=4).shape"),
        ("your_own_network", "learn_both(steps=3)"),
        ("task_cycle", "play(Expert('window-open'), TaskCycle('window', steps=2, episode=2))[-1][0]"),
    ],
    ids=["sac_population", "your_own_network", "task_cycle"],
)
def test_examples_run_from_a_wheel(installed, name, call):
    found = f"import sys; sys.path.insert(0, {str(ROOT / 'examples')!r})"
    done = installed("python", "-c", f"{found}\nfrom {name} import *\nprint({call})")
    assert done.returncode == 0 and done.stdout.strip(), done.stderr


@pytest.mark.slow
def test_nbsp_checks_a_method_without_a_clone(installed):
    done = installed("nbsp", "check-method", f"{ROOT}/docs/my_method.py:Anchor")
    assert done.returncode == 0 and "FAIL" not in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_what_needs_a_clone_says_so_in_one_line(installed):
    done = installed("nbsp", "plan")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "clone of the repository" in done.stderr
    done = installed("nbsp", "doctor")
    assert done.returncode == 0 and "without its repository" in done.stdout.splitlines()[0], done.stdout
    done = installed("python", "-c", "from nbsp_lib.envs.atari import normalised; normalised('boxing', 1)")
    assert done.returncode == 1 and "data/atari_scores.csv" in done.stderr.splitlines()[-1]
