"""The notebook runner: strict before a kernel starts, byte-stable after, and nothing false left behind."""

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import pytest

from nbsp_lib.artifact import notebook, parameters, sockets
from nbsp_lib.artifact.notebook import main
from nbsp_lib.artifact.sockets import bindable, folder_for_sockets

PARAMETERS = """# %% tags=["parameters"]
steps = 3               # a comment
rate: float = 0.5
name = "window"
extra = None
flag = False
"""
GOOD = (
    PARAMETERS
    + """
# %%
import sys, time
for step in range(steps):
    print(step, object(), flush=True)
    time.sleep(0.25)                    # longer than the kernel waits before it sends a piece of stdout
print("not kept", file=sys.stderr)
rate, name, extra
"""
)
BAD = "# %%\nprint('so far')\n\n# %%\nraise ValueError('no good')\n"


def write(folder, text):
    source = folder / "source.py"
    source.write_text(text)
    return str(source), folder / "target.ipynb"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "stps", "2"], 'unknown parameter "stps", nearest valid name: "steps"'),
        (["-p", "steps", "2.0"], "steps: 2.0 is a float, expected int"),
        (["-p", "steps", "true"], "steps: True is a bool, expected int"),
        (["-p", "flag", "1"], "flag: 1 is a int, expected bool"),
        (["-p", "rate", "fast"], "rate: 'fast' is a str, expected float"),
        (["-p", "steps", "[1"], "steps: '[1' is not YAML"),
        (["-p", "steps", "1", "-p", "steps", "2"], "parameter steps is given twice"),
        (["-p", "steps", "2026-13-45"], "steps: '2026-13-45' is not YAML, or holds a date"),
        (
            ["-p", "extra", "[2026-01-01]"],
            "extra: '[2026-01-01]' is not YAML, or holds a date: a text stands in quotes",
        ),
    ],
)
def test_wrong_parameters_are_refused_in_one_line(tmp_path, capsys, arguments, words):
    source, target = write(tmp_path, GOOD)
    assert main([source, str(target), *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.py"]


def test_what_cannot_be_run_is_refused(tmp_path, capsys):
    source, target = write(tmp_path, PARAMETERS + "folder = str(1)\n")
    assert main([source, str(target)]) == 2
    assert "holds more than constants: folder = str(1)" in capsys.readouterr().err
    assert main([str(tmp_path / "missing.py"), str(target)]) == 2
    assert "no such notebook source" in capsys.readouterr().err
    capsys.readouterr()
    source, target = write(tmp_path, GOOD)
    target.mkdir()
    for where in (target, Path("/proc/target.ipynb")):
        assert main([source, str(where)]) == 2
        said = capsys.readouterr().err
        assert f"{where}: cannot be written: " in said and said.count("\n") == 1
    assert main([".", str(target)]) == 2 and "no such notebook source" in capsys.readouterr().err
    assert main([source, str(tmp_path / "source.ipynb")]) == 2  # the pair of the source is not a place for outputs


def test_two_runs_write_equal_bytes(tmp_path):
    source, target = write(tmp_path, GOOD)
    given = {"steps": "2", "rate": "1", "name": "no", "extra": "[1e-3]"}
    arguments = [source, str(target), *(word for pair in given.items() for word in ("-p", *pair))]
    assert main(arguments) == 0
    first = target.read_bytes()
    assert main(arguments) == 0
    assert target.read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.py", "target.ipynb"]
    outputs = nbformat.read(target, as_version=4).cells[-1].outputs
    assert outputs[0].text == "0 <object object at 0x0>\n1 <object object at 0x0>\n"
    assert outputs[1].data["text/plain"] == "(1.0, 'no', [0.001])"
    assert len(outputs) == 2


TEXTS = [
    "/tmp/run #2",
    "null",
    "1e3",
    "",
    "'quoted'",
    "a: b",
    "[x",
    "two\nlines",
    "{x: 1}",
    "\\n",
    "ü€",
    "0.5",
    "~",
    "yes",
]


@pytest.mark.parametrize(
    "declaration", ["name = 'a'", "name: str = 'a'", "name: str | None = None", "name: 'str' = None"]
)
def test_a_parameter_that_is_declared_as_text_is_text(declaration):
    nb = jupytext.reads(f'# %% tags=["parameters"]\n{declaration}\n', fmt="py:percent")
    for text in TEXTS:
        assert parameters.checked([("name", text)], parameters.declared(nb, "source.py"), "source.py") == {"name": text}


@pytest.mark.parametrize(
    ("declaration", "text", "value"),
    [
        ("x: float = 1", "2", 2.0),
        ("x: int | None = None", "null", None),
        ("x: int | None = None", "3", 3),
        ("x = []", "[1, 2]", [1, 2]),
        ("x = None", "[1e-3]", [0.001]),
        ("x = None", "/tmp/run #2", "/tmp/run #2"),
        ("x = None", "'7'", "7"),
        ("x = None", "7", 7),
    ],
)
def test_a_parameter_has_its_declared_type(declaration, text, value):
    nb = jupytext.reads(f'# %% tags=["parameters"]\n{declaration}\n', fmt="py:percent")
    found = parameters.checked([("x", text)], parameters.declared(nb, "source.py"), "source.py")["x"]
    assert found == value and type(found) is type(value)


def test_a_text_arrives_in_the_notebook_as_it_was_given(tmp_path):
    source, target = write(tmp_path, GOOD)
    assert main([source, str(target), "-p", "steps", "1", "-p", "name", "/tmp/run #2\n\\'\""]) == 0
    shown = nbformat.read(target, as_version=4).cells[-1].outputs[1].data["text/plain"]
    assert ast.literal_eval(shown) == (0.5, "/tmp/run #2\n\\'\"", None)


def test_sockets_lie_where_their_path_fits(tmp_path, monkeypatch):
    """A folder of 100 characters, one without a place elsewhere, and a notebook that is run below the former."""
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with folder_for_sockets("/tmp") as folder:
        assert folder == "/tmp"
    with folder_for_sockets(str(deep)) as folder:
        assert bindable(folder) and folder.startswith("/tmp/nb-")
    assert not os.path.exists(folder) and not list(deep.iterdir())
    monkeypatch.setattr(sockets, "bindable", lambda folder: False)
    with folder_for_sockets(str(deep)) as folder:
        assert folder is None  # the kernel is then spoken to by tcp
    source, target = write(tmp_path, GOOD)
    command = [sys.executable, "-m", "nbsp_lib.artifact.notebook", source, str(target)]
    done = subprocess.run(command, env=os.environ | {"TMPDIR": str(deep)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and target.exists() and not list(deep.iterdir())


def test_a_failing_notebook_leaves_a_failed_copy_and_no_target(tmp_path, capsys):
    source, target = write(tmp_path, BAD)
    target.write_text("stale")
    assert main([source, str(target)]) == 1
    said = capsys.readouterr().err
    assert "ValueError: no good" in said and "target.failed.ipynb" in said
    assert not target.exists()
    failed = nbformat.read(tmp_path / "target.failed.ipynb", as_version=4)
    assert any(output.get("text") == "so far\n" for cell in failed.cells for output in cell.get("outputs", []))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_process(tmp_path, number):
    """The cell's `finally` is run, and neither the kernel nor what it started is alive afterwards."""
    source, target = write(
        tmp_path,
        f"""# %%
import os, pathlib, subprocess, time
folder = pathlib.Path({str(tmp_path)!r})
child = subprocess.Popen(["sleep", "60"])
(folder / "started").write_text(f"{{os.getpid()}} {{child.pid}}")
try:
    time.sleep(60)
finally:
    (folder / "ended").touch()
""",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "nbsp_lib.artifact.notebook", source, str(target)], start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() or not (tmp_path / "started").read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, number)
    assert process.wait(timeout=30) == 128 + number
    assert (tmp_path / "ended").exists() and not target.exists()
    for pid in map(int, (tmp_path / "started").read_text().split()):
        assert not _alive(pid)


def _alive(pid) -> bool:
    """A killed process may stay in the table for a moment, as a zombie that nobody has waited for."""
    import psutil

    try:
        psutil.Process(pid).wait(timeout=5)
    except psutil.TimeoutExpired:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        pass
    return False


def test_what_is_in_other_hands_is_no_failure(tmp_path, capsys):
    """A notebook that meets a lock: an exit code of its own, one line, and no failed copy for anybody to wonder about."""
    source, target = write(tmp_path, "# %%\nraise BlockingIOError(11, 'Resource temporarily unavailable')\n")
    assert main([source, str(target)]) == os.EX_TEMPFAIL
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.py"]


@pytest.mark.parametrize("deaf", [False, True])
def test_a_stopped_kernel_is_given_time_to_save(tmp_path, deaf):
    """Longer than the few seconds after which Jupyter would end it; one that did not hear of it is told again."""
    source, target = write(
        tmp_path,
        f"""# %%
import pathlib, signal, sys, time
folder, came = pathlib.Path({str(tmp_path)!r}), []
signal.signal(signal.SIGINT, signal.SIG_IGN if {deaf} else lambda *given: came.append(1))
signal.signal(signal.SIGTERM, lambda *given: (folder / "told again").touch() or came.append(1))
(folder / "started").touch()
while not came:
    time.sleep(0.01)
time.sleep(0 if {deaf} else 4)
(folder / "saved").touch()
""",
    )
    patience = 6 if deaf else notebook.PATIENCE
    program = (
        f"import sys\nfrom nbsp_lib.artifact import notebook\n"
        f"notebook.PATIENCE = {patience}\nsys.exit(notebook.main(sys.argv[1:]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, source, str(target)], start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=60) == 143
    assert (tmp_path / "saved").exists() and (tmp_path / "told again").exists() == deaf


def test_a_kernel_that_is_done_and_does_not_end_is_not_waited_for(tmp_path):
    """One with a thread of its own, say: seconds, not PATIENCE."""
    source, target = write(
        tmp_path, "# %%\nimport threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    )
    process = subprocess.run(
        [sys.executable, "-m", "nbsp_lib.artifact.notebook", source, str(target)], check=False, timeout=40
    )
    assert process.returncode == 0 and target.exists()
