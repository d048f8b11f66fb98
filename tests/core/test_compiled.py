"""The compiled learner on a CPU: learns what eager code learns, resumes to the same bytes, is recorded, gives way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_run
import torch

import nbsp_lib.training.trainer
from nbsp_lib import cli
from nbsp_lib.campaign import campaign, engine, launch
from nbsp_lib.core import compilation, sac
from nbsp_lib.methods import METHODS
from nbsp_lib.methods.trial import ACT, HEADS, OBS, Trial
from nbsp_lib.runs.run import Run
from nbsp_lib.runs.settings import cell

TESTS = Path(__file__).resolve().parents[1]
QUICK = {
    "nbsp": {"replay_every": 3},
    "ewc": {"critic": True},
    "clonex": {"critic": True},
    "cbp": {"maturity": 2, "rho": 0.06},
}
needs_compiler = pytest.mark.skipif(not compilation.cpp_compiler(), reason="no C++ compiler")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    torch._dynamo.reset()


def through_graphs(made):
    """sac.update_from_rows as Cycle calls it in compiled mode, what was compiled being put into the list `made`."""

    def update(agent, replay, recent, stored, noise, method, settings):
        def learn(recent, stored, *normal):
            sac.update_from_rows(agent, replay, recent, stored, dict(zip(noise, normal)), method, settings)

        drawn = (recent, stored, *noise.values())
        if not made:
            made.append(compilation.compiled(learn, agent.tensors() | method.state, drawn))
        made[0](*drawn)

    return update


CASES = [
    pytest.param(
        name,
        head,
        id=f"{name}-{type(head).__name__}",
        marks=() if (name, head) == ("nbsp", HEADS[0]) else pytest.mark.slow,
    )
    for name in METHODS
    for head in HEADS
]  # a new code compiles for half a minute


@needs_compiler
@pytest.mark.parametrize("name, head", CASES)
def test_compiled_updates_are_those_of_eager_code(name, head):
    """Two positions and a bit of the third, in float64: to 1e-6, by one graph, which no task end changes."""
    make = lambda: METHODS[name](**QUICK.get(name, {}))
    torch._dynamo.utils.counters.clear()
    try:
        torch.set_default_dtype(torch.float64)
        eager = Trial(make, (0, 1), head).live(2).tensors()
        compiled = Trial(make, (0, 1), head, through_graphs([])).live(2).tensors()
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    torch.testing.assert_close(compiled, eager, rtol=1e-6, atol=1e-8, equal_nan=True)


def acting(head, method, actor):
    return lambda obs, noise: head.act(method, actor, actor.params, obs, noise)[0]


@needs_compiler
def test_compiled_actions_are_those_of_eager_code_and_two_agents_do_not_share_them():
    """One code, two populations: nothing is checked at a call, so each must have been given its own."""
    with torch.no_grad():
        for seeds in ((0, 1), (2, 3)):
            trial, gen = Trial(METHODS["nbsp"], seeds).live(1), torch.Generator().manual_seed(seeds[0])
            obs, noise = torch.randn(2, 4, OBS, generator=gen), torch.randn(2, 4, ACT, generator=gen)
            act = acting(trial.head, trial.method, trial.agent.actor)
            call = compilation.compiled(act, trial.tensors(), (obs, noise))
            for _ in range(2):
                torch.testing.assert_close(call(obs, noise), act(obs, noise), rtol=1e-5, atol=1e-6)
                trial.learn(1)  # parameters move under it


def manifests(folder):
    return [state.manifest for state in tiny_run.run_in(folder).states((0,)).values()]


@needs_compiler
@pytest.mark.parametrize(
    "words, killed", [(["compiled"], 1), pytest.param(["compiled", "all"], 4, marks=pytest.mark.slow)]
)
def test_killed_and_resumed_a_compiled_run_has_the_same_bytes(tmp_path, words, killed):
    env = os.environ | {"PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(TESTS / "killed_run.py"), str(tmp_path), *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    ends = [
        line.rsplit(" ", 1)[1] for line in done.stdout.splitlines() if line.startswith(("('", "ev", "sc", "re", "None"))
    ]
    assert ends == ["-9"] * killed + ["0"], done.stdout
    torch.set_flush_denormal(True)
    positions = 2 if "all" in words else 1
    whole = tiny_run.train(tmp_path / "whole", seeds=(0, 1), population=2, positions=positions, compile=True)
    assert tiny_run.contents(whole) == tiny_run.contents(tmp_path / "chosen" / "out")
    assert [m["compiled"] for m in manifests(tmp_path / "whole")] == [True]


def test_a_run_begun_eager_and_resumed_compiled_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(nbsp_lib.training.trainer, "compiled", lambda function, state, examples: function)
    train = lambda folder, **how: tiny_run.train(folder, fork=False, **how)
    train(tmp_path / "plain", positions=1)
    assert [m["compiled"] for m in manifests(tmp_path / "plain")] == [False]
    train(tmp_path / "plain", positions=2, compile=True)
    assert [m["compiled"] for m in manifests(tmp_path / "plain")] == [True]


def test_without_a_compiler_a_run_is_eager_and_says_why_once(tmp_path, monkeypatch, capsys):
    plain = tiny_run.contents(tiny_run.train(tmp_path / "plain", positions=1, fork=False))
    monkeypatch.setenv("CXX", "no-such-compiler")
    asked = tiny_run.train(tmp_path / "asked", positions=1, fork=False, compile=True)
    assert tiny_run.contents(asked) == plain
    assert capsys.readouterr().out.count("not compiled: there is no C++ compiler") == 1
    assert [m["compiled"] for m in manifests(tmp_path / "asked")] == [False]


@needs_compiler
def test_what_cannot_be_compiled_changes_nothing_and_says_why(capsys):
    state = {"x": torch.ones(1)}

    def branches(y):
        state["x"].add_(1)
        return y if y.sum() > 0 else -y

    assert compilation.compiled(branches, state, (torch.ones(2),)) is None and state["x"] == 1
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("not compiled: ") and len(said) > 30


@pytest.mark.parametrize(
    "profile, words, compiler, expected",
    [
        ("laptop", "", "/usr/bin/g++", True),
        ("laptop", "", None, False),
        ("laptop", "--no-compile", "/usr/bin/g++", False),
        ("laptop", "--compile", None, True),
        ("smoke", "", "/usr/bin/g++", False),
        ("smoke", "--compile", "/usr/bin/g++", True),
    ],
)
def test_nbsp_run_compiles_where_it_can_unless_told(profile, words, compiler, expected, monkeypatch):
    """In this process and as jobs, and for those the notebook is told."""
    asked = []
    monkeypatch.setattr(compilation, "cpp_compiler", lambda: compiler)
    monkeypatch.setattr(Run, "finished", lambda *names: {})
    monkeypatch.setattr(launch, "footprint", lambda *names: "")
    monkeypatch.setattr(campaign, "footprint", lambda *names: "")
    monkeypatch.setattr(campaign, "recordings", lambda *names: [])
    monkeypatch.setattr(launch, "train_run", lambda run, seeds, placement, **how: asked.append(placement.compile))
    monkeypatch.setattr(launch, "ship", lambda *names: {})
    monkeypatch.setattr(launch, "check_same_run", lambda *names: None)
    monkeypatch.setattr(
        engine.Engine, "run", lambda self: asked.extend(job.placement.compile for job in self.waiting) or {}
    )
    command = ["run", "--profile", profile, "--sequence", "window", "--arm", "nbsp", "--seeds", "7", *words.split()]
    assert cli.main(command) == 0 and cli.main([*command, "--jobs", "2", "--no-dvc"]) == 0
    assert asked == [expected, expected]


def test_compile_is_refused_for_a_gpu(capsys):
    command = ["run", "--profile", "laptop", "--sequence", "window", "--arm", "nbsp", "--device", "cuda", "--compile"]
    assert cli.main(command) == 2 and capsys.readouterr().err.strip() == "--compile: only with --device cpu"


def test_the_profiles_say_nothing_of_it():
    """The same config hash in both modes: it is how a run is computed, not what it is."""
    assert "compile" not in json.dumps(cell(tiny_run.profile(), tiny_run.SEQUENCE, "nbsp"))
