"""Backends: the same promises on this machine, through submitit, on Ray and on Slurm. What runs is small shell and Python."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from nbsp_lib.campaign.backends import BACKENDS
from nbsp_lib.campaign.backends.local import Local
from nbsp_lib.campaign.backends.ray import Ray
from nbsp_lib.campaign.backends.slurm import Slurm
from nbsp_lib.campaign.worker import Task
from nbsp_lib.errors import ConfigError

# Saves at SIGTERM and takes its time for it; a second signal would break the save off.
CAREFUL = """
import pathlib, signal, sys, time
def save(number, frame):
    signal.signal(number, lambda *again: sys.exit("asked twice"))
    time.sleep(0.3)
    pathlib.Path("saved").touch()
    sys.exit(3)
signal.signal(signal.SIGTERM, save)
pathlib.Path("ready").touch()
time.sleep(100)
"""
TOLD = CAREFUL.replace('lambda *again: sys.exit("asked twice")', "signal.SIG_IGN")  # the kernel may tell it again
DEAF = "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsubprocess.run(['sleep', '100'])"


def slurm_runs():
    return shutil.which("sbatch") and subprocess.run(["scontrol", "ping"], capture_output=True).returncode == 0


MADE = {
    "local": lambda: Local(2),
    "submitit": lambda: Slurm(2, executor="local"),
    "ray": lambda: Ray(2),
    "slurm": lambda: Slurm(2, minutes=10),
}
SLOW = {
    "ray": [pytest.mark.slow],
    "slurm": [pytest.mark.slow, pytest.mark.skipif(not slurm_runs(), reason="needs Slurm")],
}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=SLOW.get(name, [])) for name in MADE])
def backend(request, tmp_path_factory):
    """Two jobs at a time, started from a folder of its own."""
    if request.param == "ray":
        pytest.importorskip("ray")
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp(request.param))
    made = MADE[request.param]()
    yield made
    made.close()
    os.chdir(before)


@pytest.fixture
def folder(backend, tmp_path, monkeypatch):
    """The current folder, a new one: no task sees the files of another."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def task(*command, **env):
    return Task("a-task", command, Path("logs/a.log"), env)


def python(code):
    return task(sys.executable, "-c", code)


def until(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def ended(handle):
    until(lambda: handle.poll() is not None)
    return handle.poll()


def family(word):
    """Pids of the processes with `word` among what they were called with, zombies left out."""
    found = psutil.process_iter(["pid", "cmdline", "status"])
    return [
        each.pid
        for each in found
        if each.info["status"] != psutil.STATUS_ZOMBIE and word in (each.info["cmdline"] or [])
    ]


def test_a_task_runs_here_with_its_environment_and_appends_to_its_log(backend, folder):
    Path("logs").mkdir()
    Path("logs/a.log").write_text("before\n")
    assert backend.capacity == 2
    handle = backend.start(task("sh", "-c", "echo $WORD; pwd; echo no >&2; exit 7", WORD="yes"))
    assert backend.capacity == 1
    assert ended(handle) == 7 and handle.poll() == 7
    assert Path("logs/a.log").read_text() == f"before\nyes\n{folder}\nno\n"
    assert backend.capacity == 2


def test_stop_lets_a_worker_save(backend, folder):
    handle = backend.start(python(CAREFUL))
    until(Path("ready").exists)
    assert handle.poll() is None
    handle.stop()
    assert ended(handle) == 3
    assert Path("saved").exists() and Path("logs/a.log").read_text() == ""


def test_kill_leaves_nothing_of_a_worker_that_does_not_listen(backend, folder):
    code = DEAF.replace("sleep", str(shutil.copy(shutil.which("sleep"), folder)))
    handle = backend.start(python(code))
    until(lambda: family(str(folder / "sleep")))
    handle.kill()
    assert ended(handle) != 0
    until(lambda: not family(str(folder / "sleep")) and not family(code), 10)


@contextmanager
def engine(made, code):
    """A process of its own that starts `code` on a backend; killed at the end."""
    text = (
        "import sys, time\nfrom nbsp_lib.campaign.backends import Local, Ray\n"
        "from nbsp_lib.campaign.worker import Task\n"
        f"handle = {made}.start(Task('a', (sys.executable, '-c', {code!r}), 'a.log'))\ntime.sleep(100)"
    )
    process = subprocess.Popen([sys.executable, "-c", text], start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("made", ["Local(1)", pytest.param("Ray(1)", marks=pytest.mark.slow)])
def test_the_worker_of_a_killed_engine_saves_and_ends(made, tmp_path, monkeypatch):
    if made == "Ray(1)":
        pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    with engine(made, TOLD) as process:
        until(Path("ready").exists)
        process.kill()
        until(Path("saved").exists, 30)
        until(lambda: not family(TOLD), 10)


def test_ctrl_c_reaches_the_engine_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    handle = Local(1).start(python(CAREFUL))
    until(Path("ready").exists)
    assert os.getsid(handle.process.pid) == handle.process.pid != os.getsid(0)
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # Slurm sends them to every process of a job
        os.kill(handle.process.pid, number)
    handle.stop()
    assert ended(handle) == 3


def test_gpu_shares_on_one_gpu_add_up_to_at_most_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,7")
    backend = Local(9, gpus=1 / 3)
    assert backend.capacity == 6
    wait = task("sh", "-c", "echo $CUDA_VISIBLE_DEVICES; read line < fifo")
    os.mkfifo("fifo")
    handles = [backend.start(wait) for _ in range(6)]
    assert backend.capacity == 0
    assert sorted(handle.gpu for handle in handles) == ["3"] * 3 + ["7"] * 3
    until(lambda: sorted(Path("logs/a.log").read_text().split()) == ["3"] * 3 + ["7"] * 3)
    one = next(handle for handle in handles if handle.gpu == "7")
    one.kill()
    ended(one)
    assert backend.start(wait).gpu == "7"
    backend.close()


@pytest.mark.parametrize(
    ("share", "visible", "said"), [(1.5, "0", "must be in"), (0.5, "", "no CUDA GPU"), (0.5, "-1", "no CUDA GPU")]
)
def test_a_share_that_cannot_be_had_is_refused(share, visible, said, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(ConfigError, match=said):
        Local(2, gpus=share)


@pytest.mark.parametrize(("name", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_extra_is_one_line_with_the_command(name, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as refused:
        BACKENDS[name](2)
    assert str(refused.value) == f'{module} is not installed: pip install "nbsp-lib[{name}]"'


def test_a_command_that_is_not_there_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ended(Local(1).start(task("no-such-program"))) == 127
    assert Path("logs/a.log").read_text() == "no-such-program: No such file or directory\n"


@pytest.mark.parametrize("outcome", ["killed", "raised"])
def test_a_job_of_submitit_without_a_result_is_a_failure_with_a_reason(outcome, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backend = Slurm(1, executor="local")
    handle = backend.start(python(TOLD) if outcome == "killed" else Task("a", ("true",), Path("/proc/no/log")))
    if outcome == "killed":
        until(Path("ready").exists)
        for child in psutil.Process(int(handle.job.job_id)).children():
            child.kill()
        assert ended(handle) == -signal.SIGKILL
        assert "ended without a result" in Path("logs/a.log").read_text()
        until(Path("saved").exists)  # its starter died: it was told
    else:
        handle.log = "a.log"
        assert ended(handle) == 1 and "/proc/no" in Path("a.log").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not slurm_runs(), reason="needs Slurm")
def test_a_pending_job_that_is_stopped_never_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SBATCH_BEGIN", "now+1hour")
    backend = Slurm(1)
    handle = backend.start(task("touch", "ran"))
    assert handle.poll() is None and backend.capacity == 0
    handle.stop()
    assert ended(handle) == -signal.SIGTERM and not Path("ran").exists()


@pytest.mark.slow
@pytest.mark.skipif(not slurm_runs(), reason="needs Slurm")
def test_slurm_refuses_an_unknown_partition(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="partition"):
        Slurm(1, partition="no-such-one").start(task("true"))


def test_the_first_import_of_submitit_leaves_later_tests_their_capture(tmp_path):
    """It configures logging anew, which closed absl's stream: pytest's, when absl was imported in an earlier test."""
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    bodies = ("one():\n    import absl.logging", "two(capsys):\n    import submitit", "three():\n    pass")
    (tmp_path / "test_it.py").write_text("".join(f"def test_{body}\n" for body in bodies))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
