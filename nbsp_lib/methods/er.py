"""Experience replay: a part of every minibatch is stored rows of the tasks, the rest is of the current position."""

from __future__ import annotations

import torch

from nbsp_lib.core.method import Method


class ER(Method):
    """Plain experience replay (as in Rolnick et al. 2019, without its cloning; the mixing of each batch is the common form).

    Loss: SAC's, on (1 − share) · B recent rows and share · B stored ones, rounded down. share: of the minibatch, in [0, 1].
    The stored rows are those NBSP replays too (train.store: a uniform part of each task's rows, replaced at a revisit), and
    those of one update come from one task, drawn uniformly. NBSP in contrast replays whole batches, every k-th update.
    Dose: floor(share · B) of the B rows of every batch, so a share of 0.1 is that of NBSP with k = 10.
    Nothing is kept besides the rows; the target network follows the critics as usual. Ours: the size of the store, and that
    the part of the task trained now is replayed as well when it is revisited.
    """

    def __init__(self, share: float = 0.5):
        super().__init__()
        if not 0 <= share <= 1:
            raise ValueError(f"share of the minibatch must be in [0, 1], not {share}")
        self.share = self.dose = share

    def rows(self, step, recent, stored):
        old = int(self.share * recent.shape[1] + 1e-9)  # 0.29 · 100 is 28.999…
        return torch.cat([stored[:, :old], recent[:, old:]], 1)  # [P, B]
