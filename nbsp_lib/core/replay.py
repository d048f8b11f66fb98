"""One ring of experience per seed on the training device: recent rows of this position, and stored rows of each task.

P population, N rows, B batch, E environments, D floats in a row, M distinct tasks.
"""
from __future__ import annotations

import torch


def drawn_rows(tasks, counts, which, u):
    """-> (task, row of its part), shaped like u [..., P, B]: one of the stored `tasks` for every `which` (broadcastable to u),
    then one of the counts[p, task] rows that seed p has of it, uniformly."""
    tasks = torch.tensor(tasks, device=u.device)
    task = tasks[(which * len(tasks)).long().clamp_(max=len(tasks) - 1)]
    there = counts.to(u.device)[torch.arange(len(counts), device=u.device)[:, None], task]
    return task, torch.minimum((u * there).long(), there - 1).clamp_(min=0)       # a float32 product may round up to `there`


class Replay:
    """Rows [P, N, D]: the first `capacity` of the N are recent, then M parts of at most `part` rows each hold stored tasks.

    A row is obs, action, reward, next_obs, done and a method's own columns side by side, so that a batch is one gather.
    """

    def __init__(self, P, capacity, tasks, part, obs_dim, act_dim, device="cpu", more=None):
        widths = {"obs": obs_dim, "action": act_dim, "reward": 1, "next_obs": obs_dim, "done": 1} | (more or {})
        edges = [0]
        for width in widths.values():
            edges.append(edges[-1] + width)
        self.columns = {k: slice(a, b) for k, a, b in zip(widths, edges[:-1], edges[1:])}
        self.capacity, self.part = capacity, part
        self.data = torch.zeros(P, capacity + tasks * part, edges[-1], device=device)    # [P, N, D]
        self.first = torch.arange(P, device=device)[:, None] * self.data.shape[1]        # row 0 of each seed, flat
        self.seen = 0            # rows ever added in this position, per seed
        self.tasks = []          # distinct tasks with a stored part, in order of storing
        self.counts = torch.zeros(P, tasks, dtype=torch.long, device=device)             # rows in each part

    def tensors(self):
        """What must be saved besides `log`, by name, with a leading P."""
        return {"stored": self.data[:, self.capacity:], "stored.rows": self.counts}

    def rows_so_far(self, p, first=0):
        """The recent rows of a seed from row `first` on, [filled − first, D]; they only become more until the ring is full."""
        return self.data[p, first:self.filled].cpu().numpy()

    def restore_rows(self, p, rows):
        """The inverse of `log`; rows of plain SAC have no columns of a method, which are the last ones."""
        self.data[p, :len(rows), :rows.shape[1]] = torch.from_numpy(rows)

    @property
    def filled(self):
        return min(self.seen, self.capacity)

    def add(self, obs, action, reward, next_obs, done, **more):
        """Append E rows per seed: obs, next_obs [P, E, obs_dim], action [P, E, act_dim], reward, done [P, E], other columns
        [P, E, width] by name; zeros where there are none."""
        given = {"obs": obs, "action": action, "reward": reward[..., None], "next_obs": next_obs, "done": done[..., None]} | more
        blank = lambda span: obs.new_zeros(*obs.shape[:2], span.stop - span.start)
        rows = torch.cat([given[k] if k in given else blank(span) for k, span in self.columns.items()], -1)   # [P, E, D]
        E, start = rows.shape[1], self.seen % self.capacity
        if start + E <= self.capacity:
            self.data[:, start:start + E] = rows
        else:
            self.data[:, (torch.arange(E, device=rows.device) + start) % self.capacity] = rows
        self.seen += E

    def recent(self, u):
        """Row numbers, shaped like u, uniform over the recent rows if u is uniform in [0, 1)."""
        return (u * self.filled).long().clamp_(max=self.filled - 1)       # a float32 product may round up to `filled`

    def stored(self, which, u):
        """Row numbers, shaped like u: one stored task for every `which` (broadcastable to u), then its rows, uniformly."""
        part, rows = drawn_rows(self.tasks, self.counts, which, u)
        return self.capacity + part * self.part + rows

    def gather(self, rows):
        """The batch at `rows` [P, B]: a dict of [P, B, width]."""
        flat = self.data.flatten(0, 1).index_select(0, (rows + self.first).flatten()).unflatten(0, rows.shape)
        return {k: flat[..., span] for k, span in self.columns.items()}

    def store(self, task, gens):
        """Keep `part` of the recent rows for `task`, uniform without replacement, or all if there are fewer; a revisit replaces
        what was kept."""
        first = self.capacity + task * self.part
        for p, g in enumerate(gens):
            rows = torch.randperm(self.filled, generator=g)[:self.part].to(self.data.device)
            self.data[p, first:first + len(rows)] = self.data[p, rows]
            self.counts[p, task] = len(rows)
        if task not in self.tasks:
            self.tasks.append(task)

    def kept(self, task):
        """The stored rows of `task`, a dict of views [P, n, width]: what is written into them stays."""
        first = self.capacity + task * self.part
        last = first + int(self.counts[:, task].max())
        return {k: self.data[:, first:last, span] for k, span in self.columns.items()}

    def clear(self):
        """Forget the recent rows; the stored parts stay."""
        self.seen = 0
