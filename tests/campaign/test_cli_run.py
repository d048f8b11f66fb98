"""`nbsp run` trains what is missing and nothing else."""

import pytest

from nbsp_lib import cli
from nbsp_lib.campaign import launch
from nbsp_lib.runs.run import Run


@pytest.mark.parametrize(("options", "expected"), [("", (1, 2)), ("--positions 2", (2,)), ("--seeds 0", None)])
def test_finished_seeds_are_left_alone(monkeypatch, capsys, options, expected):
    """Seed 0 has finished all four positions, seed 1 two of them, seed 2 none."""
    trained = []
    monkeypatch.setattr(Run, "finished", lambda *names: {0: 4, 1: 2})
    monkeypatch.setattr(launch, "train_run", lambda run, seeds, *rest, **how: trained.append((*seeds,)))
    monkeypatch.setattr(launch, "ship", lambda *names: {})
    monkeypatch.setattr(launch, "check_same_run", lambda *names: None)
    monkeypatch.setattr(launch, "footprint", lambda *names: "")
    assert cli.main(["run", "--profile", "laptop", "--sequence", "window", "--arm", "nbsp", *options.split()]) == 0
    assert trained == ([expected] if expected else []) and "finished already" in capsys.readouterr().out
