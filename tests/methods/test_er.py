"""Experience replay: which rows a minibatch is made of."""

import pytest
import tiny
import torch

from nbsp_lib.core import sac
from nbsp_lib.core.method import Method
from nbsp_lib.methods.er import ER

RECENT = torch.arange(20).reshape(2, 10)  # [P=2, B=10]
STORED = RECENT + 100


@pytest.mark.parametrize("share, old", [(0.0, 0), (0.5, 5), (0.25, 2), (0.39, 3), (0.7, 7), (1.0, 10)])
def test_rows_by_hand(share, old):
    """floor(share · B) stored rows, then recent ones, each from its own column."""
    rows = ER(share=share).rows(torch.ones(2, 1), RECENT, STORED)
    assert rows.tolist() == [[100 * (b < old) + 10 * p + b for b in range(10)] for p in range(2)]


def test_a_share_that_is_none_is_refused():
    for share in (-0.1, 1.5):
        with pytest.raises(ValueError, match="share"):
            ER(share=share)


def test_every_update_learns_from_the_mixed_batch():
    """One update equals plain SAC's on rows mixed by hand, bit for bit."""
    results = []
    for method in (ER(share=0.25), Method()):
        agent, replay = tiny.make(method, (0, 1))
        (recent,), (stored,), (noise,) = tiny.draws(replay, (0, 1), 1)
        mixed = torch.where(torch.arange(tiny.BATCH) < 4, stored, recent)
        assert (stored >= replay.capacity).all() and (recent < replay.capacity).all()
        rows = recent if isinstance(method, ER) else mixed
        sac.update_from_rows(agent, replay, rows, stored, {"sac": noise}, method, tiny.SETTINGS)
        results.append(agent.tensors())
    assert not tiny.differing(*results)


def test_without_stored_rows_it_is_plain_sac():
    """Before the first task end the learner hands the recent rows as stored ones too."""
    results = []
    for method in (ER(), Method()):
        agent, replay = tiny.make(method, (0, 1))
        for recent, _, noise in zip(*tiny.draws(replay, (0, 1), 10)):
            sac.update_from_rows(agent, replay, recent, recent, {"sac": noise}, method, tiny.SETTINGS)
        results.append(agent.tensors())
    assert not tiny.differing(*results) and not method.state
