"""The files around the library: environments, lock, notebooks, profiles, what may be tracked."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import jupytext
import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nbsp_lib.artifact.parameters import defaults
from nbsp_lib.runs.fingerprint import DECIDES
from nbsp_lib.runs.strict import read_yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text().splitlines()
NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").rglob("*.py") if ".ipynb_checkpoints" not in path.parts)
TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".lock", ".cff", ".ipynb", ".csv", ".json", ".txt", ""}


@pytest.fixture(scope="module")
def files():
    """What git tracks or would track."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git repository")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_environment_yml_is_an_interpreter_and_the_lock():
    dependencies = read_yaml(ROOT / "environment.yml")["dependencies"]
    (python,) = [entry for entry in dependencies if str(entry).startswith("python=")]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.removeprefix("python="))
    assert dependencies[-1] == {"pip": ["-c requirements.lock", "-e .[test]"]}
    assert len(set(map(str, dependencies))) == len(dependencies)


def test_lock_pins_every_dependency_and_names_no_address():
    wanted = [Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]]
    pins = {}
    for line in LOCK:
        pin = Requirement(line)
        assert re.fullmatch(r"==[^*]+", str(pin.specifier)) and pin.url is None, line
        pins.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier)[2:])
    for each in wanted:
        assert all(each.specifier.contains(version) for version in pins[canonicalize_name(each.name)]), each
    assert (pins["torch"], pins["metaworld"], pins["mujoco"]) == (["2.13.0"], ["3.1.1"], ["3.3.0"])


def test_make_help_lists_every_target():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", text, re.M))
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in shown.stdout.splitlines()} == targets
    assert set(re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split()) == targets | {"FORCE"}


def test_every_profile_shares_the_one_pipeline():
    profiles = sorted((ROOT / "profiles").iterdir())
    assert [profile.name for profile in profiles] == ["laptop", "paper", "pixels", "retention", "smoke", "tuning"]
    for profile in profiles:
        assert (profile / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()


def test_notebooks_are_paired():
    assert (
        sorted(
            path.with_suffix(".py")
            for path in (ROOT / "notebooks").rglob("*.ipynb")
            if ".ipynb_checkpoints" not in path.parts
        )
        == NOTEBOOKS
    )


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_equals_its_pair_and_holds_no_outputs(source):
    def cells(nb):
        return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in nb.cells]

    text, nb = jupytext.read(source), nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert cells(text) == cells(nb)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in nb.cells)
    tagged = [cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) <= 1
    defaults(text, source)  # raises where a parameter is no constant


def test_no_registry_hosts_and_no_paths_of_a_machine(files):
    hosts = [
        ".".join(parts)
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("anaconda", "org"),
            ("download", "pytorch"),
            ("npmjs", "org"),
        )
    ]
    place = re.compile(r"(?<![\w.~])/(home|root|Users|work)/\w")
    for path in files:
        if path.suffix in TEXT:
            text = path.read_text(encoding="utf-8")
            assert not [host for host in hosts if host in text], path
            assert not place.search(text), (path, place.search(text))


def test_every_test_file_that_is_named_exists(files):
    """By its path from the root, wherever a text, a docstring or a comment names one."""
    named = re.compile(r"\btests/[\w/]+\.py|\btest_\w+\.py")
    for path in files:
        if path.suffix in TEXT - {".csv", ".json", ".lock"} and ROOT / "tests" not in path.parents:
            assert not [
                name for name in named.findall(path.read_text(encoding="utf-8")) if not (ROOT / name).is_file()
            ], path


def test_tracked_data_stay_small(files):
    sizes = {path: path.stat().st_size for path in files if (ROOT / "data") in path.parents}
    assert sum(sizes.values()) < 40e6
    assert max(sizes.values(), default=0) < 10e6


def test_every_library_file_can_be_read_in_a_sitting():
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "nbsp_lib").rglob("*.py")}
    assert not {str(path): n for path, n in lengths.items() if n > 250}


def test_a_method_is_short():
    """Lines with their docstrings, as ast.unparse writes them, so that a formatter or a comment changes no count.

    At most 87; the three methods of most machinery and NBSP, which the project is about and has selection.py beside it, more."""
    longest, helpers = {"cotasp": 140, "ne": 140, "packnet": 100, "nbsp": 95}, ("check", "selection", "trial")
    files = {path.stem: path for path in (ROOT / "nbsp_lib/methods").glob("*.py") if path.stem not in helpers}
    lengths = {name: len(ast.unparse(ast.parse(path.read_text())).splitlines()) for name, path in files.items()}
    assert not {name: n for name, n in lengths.items() if n > longest.get(name, 87)}


FLOORS = {
    "errors": 0,
    "core": 1,
    "methods": 2,
    "envs": 2,
    "training": 3,
    "runs": 4,
    "results": 5,
    "extras": 5,
    "teaching": 6,
    "artifact": 7,
    "campaign": 8,
    "usage": 8,
    "cli": 9,
}
LIBRARY = sorted((ROOT / "nbsp_lib").rglob("*.py"))


def rooms(path):
    """(the folder of a file of the library, {folders it imports from})."""
    inside = path.relative_to(ROOT / "nbsp_lib")
    nodes = list(ast.walk(ast.parse(path.read_text())))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert not any(node.level for node in froms), f"{path}: imports are absolute"
    found = {name.split(".")[1] for name in names if name.startswith("nbsp_lib.")}
    return inside.parts[0].removesuffix(".py"), found - {"RENDERER"}  # a name of the package itself


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    """errors <- core <- methods, envs <- training <- runs <- results <- teaching <- artifact <- campaign <- cli.

    So what may change a number of training knows nothing of what starts, reads or shows it."""
    mine, theirs = rooms(path)
    if mine != "__init__":
        assert not {room for room in theirs - {mine} if FLOORS[room] >= FLOORS[mine]}


def test_an_edit_of_what_starts_runs_redoes_no_stage():
    deps = [dep for stage in read_yaml(ROOT / "dvc.yaml")["stages"].values() for dep in stage.get("do", stage)["deps"]]
    assert any(dep.startswith("nbsp_lib/") for dep in deps)
    assert not [dep for dep in deps if re.match(r"nbsp_lib(/(campaign|cli|usage)\b.*)?/?$", dep)]


def test_training_depends_on_all_folders_that_decide_it():
    """In dvc.yaml, so that a change there trains anew; nothing above `runs` is among the dependencies of a run."""
    deps = read_yaml(ROOT / "dvc.yaml")["stages"]["train"]["deps"]
    named = {Path(dep).parts[1].removesuffix(".py") for dep in deps if dep.startswith("nbsp_lib/")}
    assert named == {room for room, floor in FLOORS.items() if floor <= FLOORS["runs"]}
    assert set(DECIDES) < named
