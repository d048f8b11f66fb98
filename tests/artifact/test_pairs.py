"""The two files of a notebook say the same, or neither is run; papermill's own way gives the same page."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import synthetic
from test_result_notebooks import page_of

from nbsp_lib.artifact import pairs
from nbsp_lib.artifact.notebook import main
from nbsp_lib.errors import ConfigError


def edited(nb, what):
    if what == "text":
        nb.cells[-2].source += '\nprint("MY EDIT")'
    if what == "added":
        nb.cells.append(nbformat.v4.new_code_cell("%matplotlib inline"))
    if what == "removed":
        del nb.cells[-1]
    if what == "moved tag":
        nb.cells[1].metadata.tags, nb.cells[2].metadata["tags"] = [], ["parameters"]
    if what == "an empty cell":
        nb.cells.append(nbformat.v4.new_code_cell(""))
    if what == "outputs":
        nb.cells[1].outputs = [nbformat.v4.new_output("stream", text="1")]
    return nb


def copied(folder):
    for suffix in (".py", ".ipynb"):
        (folder / f"r_matrix{suffix}").write_bytes(Path(f"notebooks/results/r_matrix{suffix}").read_bytes())
    return folder / "r_matrix.ipynb"


@pytest.mark.parametrize("what", ["text", "added", "removed", "moved tag"])
@pytest.mark.parametrize("asked", [".py", ".ipynb"])
def test_a_pair_that_differs_is_refused_in_one_line(tmp_path, capsys, what, asked):
    path = copied(tmp_path)
    nbformat.write(edited(nbformat.read(path, as_version=4), what), path)
    os.utime(path, (2e9, 2e9))
    assert main([str(path.with_suffix(asked)), str(tmp_path / "target.ipynb")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "r_matrix.ipynb is newer" in said and f"jupytext --sync {path}" in said
    os.utime(path, (1e9, 1e9))
    with pytest.raises(ConfigError, match=r"r_matrix\.py is newer"):
        pairs.check(path)
    os.utime(path.with_suffix(".py"), (1e9, 1e9))
    with pytest.raises(ConfigError, match="neither is newer"):
        pairs.check(path)
    assert pairs.main([str(tmp_path)]) == 1


@pytest.mark.parametrize("what", ["nothing", "an empty cell", "outputs"])
def test_what_a_py_file_does_not_hold_is_no_difference(tmp_path, what):
    path = copied(tmp_path)
    nbformat.write(edited(nbformat.read(path, as_version=4), what), path)
    assert pairs.main([str(tmp_path)]) == 0


def test_half_a_pair(tmp_path, capsys):
    path = copied(tmp_path)
    path.write_text("<<<<<<< HEAD\n{")
    with pytest.raises(ConfigError, match=r"r_matrix\.ipynb: is no notebook"):
        pairs.check(path)
    path.with_suffix(".py").unlink()
    assert main([str(path), str(tmp_path / "target.ipynb")]) == 2
    assert "has no .py beside it" in capsys.readouterr().err


def test_every_notebook_of_the_project_is_a_pair(capsys):
    assert pairs.main([]) == 0 and not capsys.readouterr().err


MATPLOTLIBRC = """text.usetex: True
savefig.dpi: 40
font.size: 20
font.family: serif
lines.linewidth: 9
axes.facecolor: red
savefig.facecolor: green
savefig.bbox: tight
svg.fonttype: none
image.cmap: jet
backend: TkAgg
"""


@pytest.fixture
def odd(tmp_path):
    """The environment of a user with a matplotlibrc and another backend, time zone and locale."""
    (tmp_path / "mpl").mkdir()
    (tmp_path / "mpl/matplotlibrc").write_text(MATPLOTLIBRC)
    return os.environ | {
        "MPLCONFIGDIR": str(tmp_path / "mpl"),
        "TZ": "Asia/Tokyo",
        "LC_ALL": "C.UTF-8",
        "PYTHONOPTIMIZE": "2",
        "MUJOCO_GL": "osmesa",
    }


def test_a_page_is_the_same_whoever_runs_it_and_however(tmp_path, odd):
    """By the runner, by the runner under a user's settings, and by papermill from the .ipynb under them: equal files."""
    synthetic.write(tmp_path / "checkpoints", "window", "nbsp", seeds=(0, 1))
    params, made = page_of(tmp_path), {}
    runner = "nbsp_lib.artifact.notebook"
    for way, env in ((runner, os.environ), (runner, odd | {"MPLBACKEND": "TkAgg"}), ("papermill", odd)):
        out = tmp_path / f"out{len(made)}"
        source = "notebooks/results/r_matrix" + (".py" if way == runner else ".ipynb")
        given = {"params_file": str(params), "sequence": "window", "out": str(out)}
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                way,
                source,
                str(tmp_path / f"{len(made)}.ipynb"),
                *(word for pair in given.items() for word in ("-p", *pair)),
            ],
            env=env,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        made[out] = {path.name: path.read_bytes() for path in out.iterdir()}
    first, second, third = made.values()
    assert {Path(name).suffix for name in first} >= {".png", ".svg", ".csv"} and first == second == third
