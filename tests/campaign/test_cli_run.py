"""`nbsp run` trains what is missing and nothing else."""
import pytest

import nbsp_lib.runs.export
import nbsp_lib.runs.train_run
from nbsp_lib import cli
from nbsp_lib.campaign import plan


@pytest.mark.parametrize(("options", "expected"), [("", (1, 2)), ("--positions 2", (2,)), ("--seeds 0", None)])
def test_finished_seeds_are_left_alone(monkeypatch, capsys, options, expected):
    """Seed 0 has finished all four positions, seed 1 two of them, seed 2 none."""
    trained = []
    monkeypatch.setattr(plan, "shipped", lambda *names: {0: 4, 1: 2})
    monkeypatch.setattr(nbsp_lib.runs.train_run, "train_run",
                        lambda profile, sequence, arm, seeds, *rest, **how: trained.append((*seeds,)))
    monkeypatch.setattr(nbsp_lib.runs.export, "ship", lambda *names: {})
    monkeypatch.setattr(nbsp_lib.runs.export, "suits", lambda *names: None)
    monkeypatch.setattr(plan, "footprint", lambda *names: "")
    assert cli.main(["run", "--profile", "laptop", "--sequence", "window", "--arm", "nbsp", *options.split()]) == 0
    assert trained == ([expected] if expected else []) and "finished already" in capsys.readouterr().out
