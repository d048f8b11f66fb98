"""The smoke profile is small, but nothing in it is idle: a mask holds neurons back and stored experience is learned from."""

from __future__ import annotations

import pandas as pd
import torch

from nbsp_lib.methods.nbsp import NBSP
from nbsp_lib.runs.export import ship
from nbsp_lib.runs.run import Placement, Run
from nbsp_lib.runs.settings import load_profile
from nbsp_lib.runs.train_run import train_run


def test_the_smoke_profile_masks_and_replays(tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    profile, replayed, held = load_profile("profiles/smoke/params.yaml"), [], []
    rows, hold = NBSP.rows, NBSP.hold

    def watched_rows(self, step, recent, stored):
        chosen = rows(self, step, recent, stored)
        replayed.append(bool(torch.equal(chosen, stored)) and not torch.equal(recent, stored))
        return chosen

    def watched_hold(self, net, changes, mask):
        made = hold(self, net, changes, mask)
        if mask == self.mask:
            held.append(any(not torch.equal(made[k], changes[k]) for k in changes))
        return made

    monkeypatch.setattr(NBSP, "rows", watched_rows)
    monkeypatch.setattr(NBSP, "hold", watched_hold)
    run = Run(profile, "window", "nbsp", tmp_path / "state")
    train_run(run, (0,), Placement(positions=2))
    ship(run, (0,), tmp_path / "out")
    updates = 2 * 400  # 1,000 steps less 200 random ones, one update for every second
    assert len(replayed) == updates // 2  # position 1 is shared and plain
    assert sum(replayed) == len(replayed) // profile.arms["nbsp"].settings["replay_every"]
    assert all(held)  # actor and critics, in every update of position 2
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert (scores.status == "scored").all() and (scores.masked > 0.15).all() and (scores.chosen == 12).all()
