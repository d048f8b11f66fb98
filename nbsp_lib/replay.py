"""One ring of experience per seed on the training device: recent rows of this position, and stored rows of each task.

P population, N rows, B batch, E environments, D floats in a row, M distinct tasks.
"""
from __future__ import annotations

import torch


class Replay:
    """Rows [P, N, D]: the first `capacity` of the N are recent, then M parts of `part` rows each hold stored tasks.

    A row is obs, action, reward, next_obs, done side by side, so that a batch is one gather.
    """

    def __init__(self, P, capacity, tasks, part, obs_dim, act_dim, device="cpu"):
        widths = {"obs": obs_dim, "action": act_dim, "reward": 1, "next_obs": obs_dim, "done": 1}
        edges = [0]
        for width in widths.values():
            edges.append(edges[-1] + width)
        self.columns = {k: slice(a, b) for k, a, b in zip(widths, edges[:-1], edges[1:])}
        self.capacity, self.part = capacity, part
        self.data = torch.zeros(P, capacity + tasks * part, edges[-1], device=device)    # [P, N, D]
        self.first = torch.arange(P, device=device)[:, None] * self.data.shape[1]        # row 0 of each seed, flat
        self.seen = 0            # rows ever added in this position, per seed
        self.tasks = []          # distinct tasks with a stored part, in order of storing

    @property
    def filled(self):
        return min(self.seen, self.capacity)

    def add(self, obs, action, reward, next_obs, done):
        """Append E rows per seed: obs, next_obs [P, E, obs_dim], action [P, E, act_dim], reward, done [P, E]."""
        rows = torch.cat([obs, action, reward[..., None], next_obs, done[..., None]], -1)   # [P, E, D]
        E, start = rows.shape[1], self.seen % self.capacity
        if start + E <= self.capacity:
            self.data[:, start:start + E] = rows
        else:
            self.data[:, (torch.arange(E, device=rows.device) + start) % self.capacity] = rows
        self.seen += E

    def draw_recent(self, gens, n):
        """Row numbers [P, n], uniform over the recent rows, each seed from its own generator."""
        return torch.stack([torch.randint(self.filled, (n,), generator=g) for g in gens])

    def draw_stored(self, gens, updates, batch):
        """Row numbers [updates, P, B]: for every update one stored task, uniformly, then its rows, uniformly."""
        drawn = []
        for g in gens:
            which = torch.randint(len(self.tasks), (updates, 1), generator=g)
            first = self.capacity + torch.tensor(self.tasks)[which] * self.part
            drawn.append(first + torch.randint(self.part, (updates, batch), generator=g))
        return torch.stack(drawn, 1)

    def gather(self, rows):
        """The batch at `rows` [P, B]: a dict of [P, B, width]."""
        flat = self.data.flatten(0, 1).index_select(0, (rows + self.first).flatten()).unflatten(0, rows.shape)
        return {k: flat[..., span] for k, span in self.columns.items()}

    def store(self, task, gens):
        """Keep `part` of the recent rows for `task`, uniform without replacement; a revisit replaces what was kept."""
        if self.filled < self.part:
            raise ValueError(f"cannot keep {self.part} of {self.filled} recent rows")
        first = self.capacity + task * self.part
        for p, g in enumerate(gens):
            rows = torch.randperm(self.filled, generator=g)[:self.part].to(self.data.device)
            self.data[p, first:first + self.part] = self.data[p, rows]
        if task not in self.tasks:
            self.tasks.append(task)

    def clear(self):
        """Forget the recent rows; the stored parts stay."""
        self.seen = 0
