"""`nbsp run --minutes N`: it ends then, everything is saved, its exit code says so, and the same command goes on from there."""

import os
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import campaign
import pytest
import tiny_run
from campaign import events, order
from test_engine import begun, held

from nbsp_lib import cli
from nbsp_lib.campaign import engine, launch
from nbsp_lib.campaign.backends.local import Local
from nbsp_lib.campaign.backends.ray import Ray
from nbsp_lib.campaign.backends.slurm import Slurm
from nbsp_lib.campaign.campaign import campaign as run_campaign
from nbsp_lib.campaign.job import jobs_of
from nbsp_lib.runs.run import Run
from nbsp_lib.runs.train_run import OVER, TIME_OVER
from nbsp_lib.training.rollout import environments

RUN = "run --sequence window --arm nbsp fine-tuning --seeds 0 --positions 2 --no-compile"
PART = [pytest.param("", id="here"), pytest.param(" --jobs 2 --no-dvc", id="jobs")]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(campaign.ROOT))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    for name, seconds in (("TICK", 0.02), ("LOOK", 0.05), ("AGAIN", 0.05)):
        monkeypatch.setattr(engine, name, seconds)
    environments.cache_clear()
    yield campaign.workplace(tmp_path)
    assert not campaign.family(tmp_path)


@contextmanager
def minutes_last(seconds, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(launch, "MINUTE", seconds)
        yield


def test_a_run_in_parts_ends_as_one_in_one_go(place, monkeypatch, capsys):
    """Of real training, both arms; the time is over in the middle of positions and between runs.

    Each part lasts longer than the one before: a fast machine needs several parts too, and a slow one gets through.
    """
    parts, outs = 0, [Path(place.checkpoints) / "window" / arm for arm in ("nbsp", "fine-tuning")]
    code = TIME_OVER
    while code == TIME_OVER:
        with minutes_last(0.2 * 1.2**parts, monkeypatch):
            code = cli.main([*RUN.split(), "--minutes", "1"])
        if code == TIME_OVER:
            assert capsys.readouterr().err.splitlines()[-1] == OVER
            parts += 1
    assert code == 0 and parts >= 2
    there = [tiny_run.contents(out) for out in outs]
    shutil.rmtree(".state")
    shutil.rmtree("runs")
    assert cli.main([*RUN.split(), "--minutes", "1000"]) == 0
    assert [tiny_run.contents(out) for out in outs] == there


@pytest.mark.parametrize("how", PART)
def test_it_ends_while_it_waits_for_position_1_of_another_arm(place, monkeypatch, capsys, how):
    trunk = Run(place, "window", "nbsp").trunk().states((0,))[0]
    campaign.obedient(monkeypatch)
    with held(trunk), minutes_last(0.5, monkeypatch):
        before = time.monotonic()
        assert (
            cli.main(f"run --sequence window --arm nbsp --seeds 0 --no-compile --minutes 1{how}".split()) == TIME_OVER
        )
    said = capsys.readouterr()
    assert time.monotonic() - before < 20 and OVER in said.out + said.err and not begun()
    assert Run(place, "window", "nbsp").states((0,))[0].manifest is None


def test_ctrl_c_ends_that_waiting_too(place):
    """A single one."""
    trunk = Run(place, "window", "nbsp").trunk().states((0,))[0]
    asking = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    with held(trunk):
        asking.start()
        assert cli.main("run --sequence window --arm nbsp --seeds 0 --no-compile".split()) == 130
    asking.join()


BACKENDS = {"local": lambda: Local(2), "submitit": lambda: Slurm(2, executor="local", minutes=1), "ray": lambda: Ray(2)}


@pytest.mark.parametrize("name", ["local", "submitit", pytest.param("ray", marks=pytest.mark.slow)])
def test_every_backend_lets_its_workers_save_and_begins_nothing_more(place, name, monkeypatch, capsys):
    if name == "ray":
        pytest.importorskip("ray")
    campaign.obedient(monkeypatch)
    for seed in (0, 1):
        order(f"nbsp-{seed}", "wait")
    runs, seeds = [Run(place, "window", "nbsp")], (0, 1, 2)
    made = BACKENDS[name]()
    assert run_campaign(runs, seeds, made, dvc=False, deadline=time.monotonic() + 8) == TIME_OVER
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == ["2 stopped, 1 not begun", OVER]
    assert "time is over: 2 running jobs save and end; Ctrl-C kills them" in said
    assert sorted(job for word, job, _, _ in events() if word == "saved") == ["nbsp-0", "nbsp-1"]
    assert run_campaign(runs, seeds, BACKENDS[name](), dvc=False) == 0
    assert begun().count("nbsp-2") == 1


def test_what_is_done_in_time_is_done_and_a_failure_counts_more_than_the_time(place, monkeypatch, capsys):
    campaign.obedient(monkeypatch)
    line = "run --sequence window --arm nbsp --seeds {} --jobs 2 --minutes 1 --no-compile --no-dvc"
    assert cli.main(line.format("0 1").split()) == 0 and OVER not in capsys.readouterr().out
    order("nbsp-2", "fail 3 no luck", "fail 3 no luck")
    order("nbsp-3", "wait")
    with minutes_last(6.0, monkeypatch):
        assert cli.main(line.format("2 3").split()) == 1
    said = capsys.readouterr().out
    assert "1 failed, 1 stopped" in said and OVER in said


def test_nothing_begins_in_the_last_tenth_of_the_time(place, monkeypatch):
    """A job of Slurm that was told to end shortly before must not be submitted again."""
    campaign.obedient(monkeypatch)
    made = engine.Engine(jobs_of(Run(place, "window", "nbsp"), (0,)), Local(1), deadline=time.monotonic() + 100)
    assert made.reserve == pytest.approx(10, abs=0.1)
    made.deadline -= 91  # nine seconds are left
    assert [outcome for outcome, _, _ in made.run().values()] == ["not begun"] and not begun()
