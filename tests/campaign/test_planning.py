"""What a run will need, said before it starts: memory by the tensors it makes, and hours and memory as they then come out."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_run
import torch

from nbsp_lib.campaign import memory, plan, speed, work
from nbsp_lib.campaign.speed import Rates
from nbsp_lib.core.gaussian import Gaussian
from nbsp_lib.core.sac import make_agent
from nbsp_lib.envs.sequences import distinct, tasks_of
from nbsp_lib.methods import METHODS
from nbsp_lib.runs.run import Run
from nbsp_lib.training.saving import tensors
from nbsp_lib.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
RATES = Rates(update=2e-3, play=1e-4, evaluate=1e-4, core=1.0, replay=1000, state=100, network=10, start=2.0)


@pytest.mark.parametrize(
    "sequence, observation",
    [
        ("window", None),
        ("four", None),
        ("window-close", None),
        ("boxing-road-runner", "ram"),
        ("boxing-road-runner", "pixels"),
    ],
)
def test_replay_and_state_are_counted_as_training_makes_them(sequence, observation):
    profile = tiny_run.games(observation=observation, store=0.16) if observation else tiny_run.profile(store=0.13)
    train, tasks = profile.training(sequence), distinct(tasks_of(sequence))
    trainer = Trainer(train, sequence, METHODS["nbsp"](), (0, 1, 2))
    held = trainer.replay.data.nbytes + (trainer.replay.frames.nbytes if observation == "pixels" else 0)
    assert 3 * speed.replay_bytes(train, tasks, trainer.method, trainer.agent) == held
    needed = memory.memory(Run(profile, sequence, "nbsp"), 3)
    assert needed.replay == held
    assert needed.state == 2 * sum(
        t.nbytes for name, t in tensors(trainer).items() if name not in trainer.replay.tensors()
    )


def test_the_plan_of_games_is_made_from_games(monkeypatch):
    """Rates of the real thing, and evaluations counted at the limit on the frames of a game."""
    made = tiny_run.games()
    rates = speed.measure(made.atari, "boxing-road-runner", METHODS["nbsp"](), 2, 0.3)
    assert min(rates.update, rates.play, rates.evaluate) > 0
    (group,) = work.planned([Run(made, "boxing-road-runner", "crelu")], (0, 1), 2)
    positions, games = 4, 1 + 3  # the first evaluation, then three of a position
    assert group.work.played == positions * 200
    assert group.work.measured == 60 * 2 * 2 * (games + 3 * 3)


def test_memory_grows_with_the_population_and_with_what_is_scored():
    profile = tiny_run.profile(
        layers=(256, 256), scoring_episodes=50, episode=200, envs=4, steps=8000, random_steps=800
    )
    nbsp = Run(profile, "window", "nbsp")
    one, three = (memory.memory(nbsp, size) for size in (1, 3))
    assert three.work == 3 * one.work > 3 * 12 * 512 * 50 * 200  # float32 activations of an actor and two critics
    assert memory.memory(nbsp.trunk(), 3).work < one.work  # scores nothing
    assert three.peak > one.peak > one.base > memory.FIRST_TASK


def test_the_footprint_is_one_line_with_replay_and_peak():
    made = tiny_run.profile(steps=20000, store=0.1)
    line = memory.footprint(Run(made, "window", "nbsp"), 3)
    tasks, method = ("window-open", "window-close"), METHODS["nbsp"]()
    agent = make_agent(method, [torch.Generator()], 39, Gaussian(4), tasks, made.train)
    replay = round(3 * speed.replay_bytes(made.train, tasks, method, agent) / 1e6)
    assert line.startswith(
        f"window nbsp: seeds together 3, replay {replay} MB on the device, peak memory of a process about "
    )
    assert "\n" not in line


def test_the_plan_adds_up_time_and_memory(tmp_path, monkeypatch):
    """Two seeds, one at a time: two tasks to get ready for each of them; three processes need three times the memory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "measure", lambda *given: RATES)
    monkeypatch.setattr(plan.time, "process_time", lambda: 7.0)
    runs = [Run(tiny_run.profile(), "window", "nbsp")]
    said = plan.estimate(runs, (0, 1), 1, processes=3)
    total = 7 + 4 * 2 + 3600 * sum(group.hours(RATES) for group in work.planned(runs, (0, 1), 1))
    assert f"in all {total:.0f} s of CPU time, 15 s of them to start" in said
    peak, together = (
        int(re.search(pattern, said)[1].replace(",", ""))
        for pattern in (r"peak memory of a process about ([\d,]+) MB", r"3 at a time: ([\d,]+) MB of")
    )
    assert together == pytest.approx(3 * (peak + plan.NOTEBOOK / 1e6), abs=3)


def test_what_is_left_of_a_group_is_timed_as_it_will_be_trained(tmp_path, monkeypatch):
    """One seed of two is finished: the other is trained alone, at the speed of one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "measure", lambda *given: RATES)
    monkeypatch.setattr(Run, "finished", lambda self: {0: len(self.tasks)})
    said = plan.estimate([Run(tiny_run.profile(), "window", "nbsp")], (0, 1), 2)
    assert {f"measured, metaworld, nbsp, seeds together {size}" in said for size in (1, 2)} == {True}


def test_playing_is_timed_once_for_a_benchmark_and_a_size_and_the_update_for_every_method(monkeypatch):
    given = []
    monkeypatch.setattr(plan, "measure", lambda *words: given.append((words[3], words[5])) or RATES)
    profile, arms = tiny_run.profile(), ("nbsp", "fine-tuning", "ewc")
    groups = [group for arm in arms for group in work.planned([Run(profile, "window", arm)], (0, 1, 2), 2, keep=False)]
    assert len(plan.measured(groups)) == len(given) == 2 * len({group.run.config["method"] for group in groups})
    for size in (1, 2):
        assert [known for each, known in given if each == size].count(None) == 1


def nbsp(folder, *words):
    """Run `nbsp` in a folder -> (what it said, its CPU seconds, its peak memory in MB)."""
    path = folder / "said"
    with open(path, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "nbsp_lib.cli", *words],
            cwd=folder,
            stdout=file,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
        )
        _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    assert not process.returncode
    return path.read_text(), used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6


@pytest.mark.slow
def test_the_plan_of_a_smoke_run_comes_true(tmp_path):
    """CPU time and peak memory within 20 %."""
    for name in ("params.yaml", "profiles/smoke/params.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    options = "--profile smoke --sequence window --arm nbsp --seeds 0 1 --population 2".split()
    said, _, _ = nbsp(tmp_path, "plan", *options)
    seconds, megabytes = (
        float(re.search(pattern, said)[1].replace(",", ""))
        for pattern in (r"in all ([\d,]+) s of CPU", r"peak memory of a process about ([\d,]+) MB")
    )
    _, spent, peak = nbsp(tmp_path, "run", *options)
    assert seconds == pytest.approx(spent, rel=0.2) and megabytes == pytest.approx(peak, rel=0.2), said
