"""How able to learn a network is: each measure by hand or against an independent formula; and the rows that a run writes."""

import json

import numpy as np
import pandas as pd
import pytest
import tiny
import tiny_run
import torch
from torch.testing import assert_close as close

from nbsp_lib.core import neurons, plasticity
from nbsp_lib.core.method import Method

# one seed, one network, 4 samples of 3 units: always 2, now and then 1, never
UNITS = torch.tensor([[2.0, 2, 2, 2], [0, 4, 0, 0], [0, 0, 0, 0]]).T[None, None]  # [1, 1, 4, 3]


def test_units_by_hand():
    """Mean |h| is 2, 1, 0, of the layer 1; two units of three fire, one of them in one sample of four."""
    close(neurons.unit_activity(UNITS), torch.tensor([[[2.0, 1.0, 0.0]]]))
    share = lambda t: plasticity.dormant_share([UNITS, UNITS[..., :2]], t).item()
    assert (
        share(0.0) == pytest.approx(1 / 5) and share(0.7) == pytest.approx(2 / 5) and share(2.0) == 1
    )  # 2/3 in the second
    assert plasticity.active_fraction([UNITS]).item() == pytest.approx((1 + 0.25 + 0) / 3)
    assert plasticity.active_fraction([UNITS, UNITS[..., :1]]).item() == pytest.approx((1.25 + 1) / 4)


def test_ranks_of_matrices_with_known_singular_values():
    """Orthogonal columns of given lengths have these lengths as singular values."""
    basis = torch.linalg.qr(torch.randn(20, 5, dtype=torch.float64))[0]
    lengths = [[4.0, 3, 2, 0.5, 0.5], [1, 1, 1, 1, 1], [7, 0, 0, 0, 0], [100, 0.5, 0.3, 0.1, 0.1]]
    lengths = torch.tensor(lengths, dtype=torch.float64)
    srank, effective = plasticity.ranks((basis * lengths[:, None, None]).float())  # [4, 1]
    assert srank.flatten().tolist() == [5, 5, 1, 1]
    share = (lengths / lengths.sum(1, keepdim=True)).numpy()
    want = [np.exp(-sum(p * np.log(p) for p in row if p > 0)) for row in share]
    close(effective.flatten(), torch.tensor(want), rtol=1e-4, atol=1e-4)
    assert all(v.item() == 0 for v in plasticity.ranks(torch.zeros(1, 1, 4, 3)))
    halves = torch.tensor([60.0, 39.5, 0.5], dtype=torch.float64)  # 99.5 % are two of them
    assert plasticity.ranks((basis[:, :3] * halves)[None, None])[0].item() == 2


def test_norms_are_of_the_whole_network_and_agree_with_autograd():
    """Weight norm: torch's of the flattened network. Gradient norm: the gradient that an update takes, from one long sum."""
    method, seeds = Method(), (0, 1)
    agent, replay = tiny.make(method, seeds)
    (recent,), _, (noise,) = tiny.draws(replay, seeds, 1)
    batch = replay.gather(recent)
    found = plasticity.network_health(agent, batch, noise, method, tiny.SETTINGS)
    assert list(found) == ["actor", "critic0", "critic1"]
    for c in (0, 1):
        flat = torch.cat([p[:, c].flatten(1) for p in agent.critic.params.values()], 1)
        close(found[f"critic{c}"]["weight_norm"], flat.double().norm(dim=1))
    leaves = {k: p.clone().requires_grad_() for k, p in agent.critic.params.items()}
    agent.head.critic_loss(agent, batch, noise[0], method, tiny.SETTINGS)(leaves, ())[0].sum().backward()
    for c in (0, 1):
        flat = torch.cat([p.grad[:, c].flatten(1) for p in leaves.values()], 1)
        close(found[f"critic{c}"]["gradient_norm"], flat.double().norm(dim=1))
    leaves = {k: p.clone().requires_grad_() for k, p in agent.actor.params.items()}
    agent.head.actor_loss(agent, batch, noise[1], method)(leaves, ())[0].sum().backward()
    close(
        found["actor"]["gradient_norm"], torch.cat([p.grad.flatten(1) for p in leaves.values()], 1).double().norm(dim=1)
    )
    hidden = agent.head.policy(method, agent.actor, agent.actor.params, batch["obs"])[2]
    close(found["actor"]["fau"], torch.cat([(h > 0).float().mean((1, 2)) for h in hidden], 1).mean(1))


def test_a_run_writes_them_at_every_evaluation_and_learns_the_same(tmp_path, monkeypatch):
    """From the second evaluation on, when there is experience; without them a run has the same networks."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    out = tiny_run.train(tmp_path / "with")
    rows = pd.read_csv(out / "plasticity.csv")
    assert rows.groupby("network").size().to_dict() == {"actor": 6, "critic0": 6, "critic1": 6}
    curves = pd.read_csv(out / "curves.csv")
    places = lambda frame: set(map(tuple, frame[["position", "step"]].values))
    assert places(rows) == places(curves.query("step > 0"))
    assert (
        rows.fau.between(0, 1).all()
        and (rows.dormant_0 <= rows.dormant).all()
        and (rows.dormant <= rows.dormant_10).all()
    )
    assert (rows.weight_norm > 0).all() and (rows.gradient_norm > 0).all() and (rows.effective_rank >= 1).all()
    assert "plasticity.csv" in json.loads((out / "run.json").read_text())["files"]
    monkeypatch.setattr("nbsp_lib.training.measure.plasticity_rows", lambda trainer: [])
    without = tiny_run.contents(tiny_run.train(tmp_path / "without"))
    mine = tiny_run.contents(out)
    assert {k for k in mine if mine[k] != without[k]} <= {"plasticity.csv", "run.json"}
