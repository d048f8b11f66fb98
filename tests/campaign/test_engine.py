"""The engine: nothing is lost or done twice, nobody is left behind, and what went wrong is said. Workers obey orders."""

import errno
import fcntl
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import campaign
import pytest
from campaign import events, order, until
from rich.console import Console

from nbsp_lib import cli
from nbsp_lib.campaign import engine, failures, screen, status
from nbsp_lib.campaign import job as jobs
from nbsp_lib.campaign.backends.local import Local
from nbsp_lib.campaign.job import busy
from nbsp_lib.errors import ConfigError
from nbsp_lib.runs.run import Placement, Run
from nbsp_lib.runs.state import SeedState

ROOT = campaign.ROOT


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workplace that is the current folder, with obedient workers; nothing may live in it at the end -> its profile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name, seconds in (("TICK", 0.02), ("LOOK", 0.05), ("AGAIN", 0.05)):
        monkeypatch.setattr(engine, name, seconds)
    campaign.obedient(monkeypatch)
    yield campaign.workplace(tmp_path)
    assert not campaign.family(tmp_path)


def nbsp(line, capsys=None):
    """-> exit code, and with capsys what was printed."""
    code = cli.main(line.split())
    return (code, capsys.readouterr().out) if capsys else code


@contextmanager
def meanwhile(act):
    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()


def begun():
    return [job for word, job, _, _ in events() if word == "begun"]


@contextmanager
def held(state):
    """The lock of a state, as another process would hold it."""
    state.folder.mkdir(parents=True, exist_ok=True)
    with open(state.folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_every_seed_once_in_order_and_no_more_at_a_time_than_asked_for(place, capsys):
    code, said = nbsp("run --sequence window --arm nbsp --seeds 3 0 1 2 --jobs 2", capsys)
    assert code == 0 and "4 done" in said
    assert sorted(begun()[:2]) == ["nbsp-0", "nbsp-3"] and sorted(begun()) == [f"nbsp-{seed}" for seed in range(4)]
    alive, most = 0, 0
    for word, _, _, _ in sorted(events(), key=lambda event: event[3]):
        alive += {"begun": 1, "ended": -1}[word]
        most = max(most, alive)
    assert most == 2
    assert not list(Path(".state/engine").glob("*.json")) and not list(Path(".state/engine").glob("*.log"))
    code, said = nbsp("run --sequence window --arm nbsp --seeds 0 1 2 3 --jobs 2", capsys)
    assert code == 0 and "seeds 0, 1, 2, 3 are finished already" in said and len(begun()) == 4


def test_a_job_is_the_notebook_of_the_pipeline_with_its_parameters(place, monkeypatch):
    import jupytext

    from nbsp_lib.artifact.parameters import checked, declared

    monkeypatch.undo()
    (made,) = jobs.jobs_of(Run(place, "window", "nbsp"), (0, 1), Placement(population=2, positions=3))
    assert made.command[1:4] == ("-m", "nbsp_lib.artifact.notebook", "notebooks/pipeline/train.py")
    source, words = ROOT / made.command[3], made.command[5:]
    given = checked(zip(words[1::3], words[2::3]), declared(jupytext.read(source), source), source)
    assert given == {
        "params_file": place.here,
        "sequence": "window",
        "arm": "nbsp",
        "seeds": [0, 1],
        "population": 2,
        "positions": 3,
        "device": "cpu",
        "workers": 0,
        "compile": False,
        "out": "runs/laptop/checkpoints/window/nbsp",
    }


def test_a_failure_is_tried_once_more_and_reported_and_the_others_finish(place, capsys):
    order("nbsp-0", "fail 3 no luck", "fail 4 no luck again")
    order("nbsp-1", "fail 5 once only")
    order("nbsp-2", "kill")
    code, said = nbsp("run --sequence window --arm nbsp --seeds 0 1 2 3 --jobs 2", capsys)
    assert code == 1 and "3 done, 1 failed" in said.splitlines()[-1]
    assert "window nbsp seed 0: failed, exit code 3: no luck; once more" in said
    assert "window nbsp seed 2: failed, killed by SIGKILL (out of memory?); once more" in said
    assert re.search(r"window nbsp seed 0 failed, the end of .*-0\.log:\n    first\n    no luck again\n", said)
    assert sorted(begun()) == ["nbsp-0", "nbsp-0", "nbsp-1", "nbsp-1", "nbsp-2", "nbsp-2", "nbsp-3"]
    _, said = nbsp("status --sequence window --arm nbsp --seeds 0 1 2", capsys)
    assert [line.split(": ", 1)[1] for line in said.splitlines()[:-1]] == [
        "0 of 4 positions, failed, exit code 4: no luck again",
        "4 of 4 positions, done",
        "4 of 4 positions, done",
    ]
    assert nbsp("run --sequence window --arm nbsp --seeds 0 1 2 3 --jobs 2") == 0
    assert begun().count("nbsp-0") == 3 and not failures.failures()


def test_a_seed_that_diverged_is_named_and_not_trained_again(place, capsys):
    order("nbsp-0", "diverge")
    code, said = nbsp("run --sequence window --arm nbsp --seeds 0 --jobs 1", capsys)
    assert code == 0 and "1 of 4 positions, seed 0 diverged" in said
    assert nbsp("run --sequence window --arm nbsp --seeds 0 --jobs 1") == 0 and begun() == ["nbsp-0"]
    assert "0: 1 of 4 positions, diverged" in nbsp("status --sequence window --arm nbsp --seeds 0", capsys)[1]


def test_what_another_process_trains_is_left_to_it(place, capsys):
    """Seed 0 is in other hands and comes free, seed 1 is in other hands and gets finished there, seed 2 is ours."""
    states, run = (Run(place, "window", "nbsp").states((0, 1, 2)) for _ in range(2))
    with held(states[0]):
        other = campaign.job(place, "nbsp", 1)
        with held(states[1]):

            def elsewhere():
                until(lambda: "ended" in [word for word, job, _, _ in events() if job == "nbsp-2"])
                time.sleep(0.3)
                path = Path(place.checkpoints) / "window/nbsp/run.json"
                path.write_text(path.read_text().replace('"2": 4', '"2": 4, "1": 4'))

            with meanwhile(elsewhere), meanwhile(lambda: (until(lambda: other.over()), freed.set())):
                freed = threading.Event()
                code, said = nbsp("run --sequence window --arm nbsp --seeds 1 2 --jobs 2", capsys)
    assert code == 0 and begun() == ["nbsp-2"] and run.keys() == states.keys()
    assert "waiting for other processes, which train: window nbsp seed 1" in said and said.count("waiting for") == 1
    assert "window nbsp seed 1: done, 4 of 4 positions, by another process" in said
    assert nbsp("run --sequence window --arm nbsp --seeds 0 1 2 --jobs 2") == 0 and begun() == ["nbsp-2", "nbsp-0"]


def test_two_engines_share_the_work(place):
    """As processes, started at once: every seed is trained once, and neither fails."""
    program = (
        "import campaign, sys\nfrom nbsp_lib import cli\nfrom nbsp_lib.campaign import engine\n"
        "from nbsp_lib.campaign.job import Job\n"
        "Job.command = property(campaign.command)\nengine.LOOK = engine.AGAIN = 0.05\nsys.exit(cli.main(sys.argv[1:]))"
    )
    line = "run --sequence window --arm nbsp fine-tuning --seeds 0 1 2 --jobs 1".split()
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", program, *line],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [each.communicate(timeout=100)[0] for each in pair]
    assert [each.returncode for each in pair] == [0, 0], said
    ended = sorted(job for word, job, _, _ in events() if word == "ended")
    assert ended == [f"{arm}-{seed}" for arm in ("fine-tuning", "nbsp") for seed in range(3)]
    assert all(text.splitlines()[-1] == "6 done" or "finished already" in text for text in said)


def test_a_shared_position_is_trained_by_one_job_at_a_time(place):
    """Two arms of one seed never run together before position 1 is there, and nothing keeps them apart afterwards."""
    tuned, nbsp_0, nbsp_1 = (
        campaign.job(place, arm, seed) for arm, seed in (("fine-tuning", 0), ("nbsp", 0), ("nbsp", 1))
    )
    assert tuned.needs() & nbsp_0.needs() and not nbsp_0.needs() & nbsp_1.needs()
    assert nbsp("run --sequence window --arm nbsp fine-tuning --seeds 0 1 --jobs 4") == 0
    times = {(word, job): when for word, job, _, when in events()}
    for seed in (0, 1):
        first, second = sorted((f"nbsp-{seed}", f"fine-tuning-{seed}"), key=lambda job: times["begun", job])
        assert times["ended", first] < times["begun", second]
    trunk = nbsp_0.run.trunk().states((0,))[0]
    trunk.folder.mkdir(parents=True)
    trunk.write({"position": 0, "round": 3, "serial": 1})
    assert tuned.needs() & nbsp_0.needs()
    with held(trunk):
        assert any(map(busy, nbsp_0.needs()))
    trunk.write({"position": 0, "round": 4, "over": True, "serial": 2})  # its last round
    assert not tuned.needs() & nbsp_0.needs() and nbsp_0.saves() == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_every_worker_save_once(place, capsys, number, code):
    for seed in (0, 1):
        order(f"nbsp-{seed}", "wait")
    with meanwhile(lambda: (until(lambda: len(begun()) == 2), os.kill(os.getpid(), number))):
        ended, said = nbsp("run --sequence window --arm nbsp --seeds 0 1 2 --jobs 2", capsys)
    assert ended == code and said.splitlines()[-1] == "2 stopped, 1 not begun"
    assert sorted(job for word, job, _, _ in events() if word == "saved") == ["nbsp-0", "nbsp-1"]
    assert not failures.failures() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert nbsp("run --sequence window --arm nbsp --seeds 0 1 2 --jobs 2") == 0


def test_a_second_ctrl_c_kills(place, capsys):
    order("nbsp-0", "deaf")

    def twice():
        until(lambda: "deaf" in [word for word, *_ in events()])
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)

    with meanwhile(twice):
        code, said = nbsp("run --sequence window --arm nbsp --seeds 0 --jobs 1", capsys)
    assert code == 130 and "killed" in said


def test_a_worker_stopped_from_outside_goes_on_if_it_got_anywhere(place, capsys):
    """Twice told to end, as by the time limit of a queue, with a save in between; a third time without one is a failure."""
    order("nbsp-0", *["wait"] * 4)
    state = Run(place, "window", "nbsp").states((0,))[0]

    def outside():
        for life in range(4):
            _, _, pid, _ = until(lambda life=life: [event for event in events() if event[0] == "begun"][life:])[0]
            if life < 2:
                state.write({"position": 0, "round": life, "serial": life + 1})
            os.kill(pid, signal.SIGTERM)

    with meanwhile(outside):
        code, said = nbsp("run --sequence window --arm nbsp --seeds 0 --jobs 1", capsys)
    assert code == 1 and said.count("stopped from outside; goes on") == 2 and said.count("once more") == 1


def test_a_backend_that_refuses_leaves_no_process(place, monkeypatch, capsys):
    order("nbsp-0", "wait")
    launch = Local.launch

    def refusing(self, task):
        if task.name.endswith("-0"):
            return launch(self, task)
        until(lambda: begun())
        raise ConfigError("Slurm refused the job: invalid partition")

    monkeypatch.setattr(Local, "launch", refusing)
    assert nbsp("run --sequence window --arm nbsp --seeds 0 1 --jobs 2") == 2
    assert [word for word, *_ in events()] == ["begun", "saved"]
    assert "invalid partition" in capsys.readouterr().err


def test_a_full_disk_fails_what_meets_it_and_nothing_else(place, monkeypatch, capsys):
    launch, full = Local.launch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refusing(self, task):
        if task.name.endswith("-0"):
            raise full
        return launch(self, task)

    def no_room(*given):
        raise full

    monkeypatch.setattr(Local, "launch", refusing)
    monkeypatch.setattr(engine, "note_failure", no_room)
    code, said = nbsp("run --sequence window --arm nbsp --seeds 0 1 --jobs 2", capsys)
    assert code == 1 and begun() == ["nbsp-1"] and "No space left on device" in said and "1 done, 1 failed" in said


def test_a_lock_of_a_dead_process_holds_nothing(tmp_path):
    assert not busy(tmp_path)
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys, time\nf = open(sys.argv[1], 'w')\n"
            "fcntl.flock(f, fcntl.LOCK_EX)\nprint(flush=True)\ntime.sleep(60)",
            tmp_path / "lock",
        ],
        stdout=subprocess.PIPE,
    )
    child.stdout.readline()
    assert busy(tmp_path) and busy(tmp_path)
    child.kill()
    child.communicate()
    assert (tmp_path / "lock").exists() and not busy(tmp_path)


def test_status_tells_what_is_alive_from_what_is_not(place, capsys):
    """Running, stalled, stopped, damaged and missing; a clock that jumps makes no nonsense."""
    run = Run(place, "window", "nbsp")
    states, report = run.states(range(5)), Path("progress.json")
    words = (
        '{"label": "window nbsp seed 0", "done": 5, "total": 16, "performance": {"window-open": 0.5}, "return": 7.0, '
        '"updates_per_s": 50.0, "seconds_left": 120, "time": 0, "pid": 1}'
    )
    for seed in range(4):
        states[seed].folder.mkdir(parents=True)
        states[seed].write({"position": 1, "round": 2, "serial": 5})
    line = "status --sequence window --arm nbsp --seeds 0 1 2 3 4"
    with held(states[0]), held(states[1]):
        for seed, age in ((0, -7200), (1, 1200)):  # a report of the future: the clock was set back
            for name in ("lock", report.name):
                path = states[seed].folder / name
                path.write_text(words if name != "lock" else "")
                os.utime(path, (time.time() - age,) * 2)
        (states[3].folder / "state.json").write_text("{")
        found = {each.seed: (each.kind, each.words) for each in status.standings([run], range(5))}
        assert found[0] == ("running", "5 of 16 rounds, window-open 0.50 return 7, 50 updates/s, 2 min left")
        assert found[1][0] == "stalled" and found[1][1].startswith("no sign of life for 20 min, 5 of 16 rounds")
        assert found[2] == ("stopped", "") and found[4] == ("missing", "")
        assert found[3][0] == "failed" and str(states[3].folder / "state.json") in found[3][1]
        code, said = nbsp(line, capsys)
    assert code == 0 and said.splitlines()[-1] == "1 running, 1 stalled, 1 failed, 1 stopped, 1 missing"
    assert nbsp(line, capsys)[1].splitlines()[-1] == "1 failed, 3 stopped, 1 missing"
    assert not (states[4].folder).exists()  # asking leaves nothing behind


def test_a_failure_is_no_news_once_its_seed_was_saved_again(place, capsys):
    order("nbsp-0", "fail 3 no luck", "fail 3 no luck")
    assert nbsp("run --sequence window --arm nbsp --seeds 0 --jobs 1") == 1
    SeedState(campaign.job(place, "nbsp", 0).states()[0].folder).write({"position": 0, "round": 1, "serial": 1})
    capsys.readouterr()
    assert nbsp("status --sequence window --arm nbsp --seeds 0", capsys)[1].splitlines()[-1] == "1 stopped"


def displayed(text):
    """The rows of a terminal after `text`, of which rich uses: up a line, erase a line, show and hide the cursor."""
    rows, at = [""], 0
    for piece in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", text):
        if piece == "\n":
            at += 1
            rows += [""] * (at == len(rows))
        elif piece == "\x1b[2K":
            rows[at] = ""
        elif piece.endswith("A"):
            at -= int(piece[2:-1])
        elif piece[0] not in "\x1b\r":
            rows[at] += piece
        else:
            assert piece == "\r" or piece[-1] in "lhm", piece
    return [row.rstrip() for row in rows if row.strip()]


def test_a_terminal_shows_one_line_for_each_running_job():
    """Drawn anew below the lines that stay, cut to the width of the terminal, with a bar for what was reported."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=20, color_system=None)
    shown, report = (
        screen.Screen(console),
        {
            "label": "a",
            "done": 5,
            "total": 10,
            "performance": {"window-open": 0.5},
            "return": 7.0,
            "updates_per_s": 50.0,
            "seconds_left": 120,
        },
    )
    shown.draw([("a" * 500, None), ("b", None)], "jobs: 2 running")
    assert [len(row) <= 100 for row in displayed(console.file.getvalue())] == [True] * 3
    shown.draw([("c", None), ("d", report), ("e", None)], "jobs: 3 running")
    shown.say("said " * 30)
    shown.draw([("f", report)], "jobs: 1 running")
    said, bar, summary = displayed(console.file.getvalue())
    assert said == ("said " * 30).strip() and summary == "jobs: 1 running"
    assert re.fullmatch(r"f +\u2501{10}\S? +5 of 10 rounds, window-open 0.50 return 7, 50 updates/s, 2 min left", bar)
    shown.clear()
    assert displayed(console.file.getvalue()) == [said]


def test_without_a_terminal_there_are_plain_lines(capsys):
    shown = screen.Screen()
    shown.draw([("a", None)], "jobs: 1 running")
    shown.say("[bold]" + "said " * 100)
    shown.clear()
    assert not shown.live and capsys.readouterr().out == "[bold]" + "said " * 100 + "\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--jobs 0", "--jobs: 0 must be at least 1"),
        ("--jobs 2 --gpus 0.5", "--gpus: only with --device cuda"),
        ("--partition short", "--partition: only with --backend slurm"),
        ("--no-dvc", "--no-dvc: only with --jobs or --backend"),
        ("--backend lurm", "invalid choice: 'lurm'"),
        ("--minutes 0", "--minutes: 0 must be at least 1"),
        ("--jobs two", "invalid int value: 'two'"),
    ],
)
def test_options_without_effect_are_refused(place, capsys, options, words):
    assert nbsp(f"run {options}") == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
