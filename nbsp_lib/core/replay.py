"""One ring of experience per seed on the training device: recent rows of this position, and stored rows of each task.

P population, N rows, B batch, E environments, D floats in a row, M distinct tasks.
"""

from __future__ import annotations

import torch


class Ring:
    """Rows [P, N, D]: a ring of `ring` recent ones, then M parts of at most `part` rows each, one for each stored task.

    widths: {column: floats}. At most `capacity` of the ring's rows are drawn; `spare` more are room for a subclass.
    """

    def __init__(self, P, capacity, tasks, part, widths, device, spare=0):
        edges = [0]
        for width in widths.values():
            edges.append(edges[-1] + width)
        self.columns = {k: slice(a, b) for k, a, b in zip(widths, edges[:-1], edges[1:])}
        self.capacity, self.ring, self.part = capacity, capacity + spare, part
        self.data = torch.zeros(P, self.ring + tasks * part, edges[-1], device=device)  # [P, N, D]
        self.seen = 0  # rows ever added in this position, per seed
        self.tasks = []  # distinct tasks with a stored part, in order of storing
        self.counts = torch.zeros(P, tasks, dtype=torch.long, device=device)  # rows in each part

    @property
    def filled(self):
        """How many recent rows a seed has."""
        return min(self.seen, self.capacity)

    def recent(self, u):
        """Returns row numbers, shaped like u, uniform over the recent rows if u is uniform in [0, 1)."""
        return (u * self.filled).long().clamp_(max=self.filled - 1)  # a float32 product may round up to `filled`

    def stored(self, which, u):
        """Returns row numbers, shaped like u [..., P, B]: one stored task for every `which`, then one of its rows for every u.

        which, broadcastable to u, and u are uniform in [0, 1).
        """
        tasks = torch.tensor(self.tasks, device=u.device)
        task = tasks[(which * len(tasks)).long().clamp_(max=len(tasks) - 1)]
        there = self.counts.to(u.device)[torch.arange(len(self.counts), device=u.device)[:, None], task]
        rows = torch.minimum((u * there).long(), there - 1).clamp_(min=0)  # a float32 product may round up to `there`
        return self.place(task) + rows

    def place(self, task):
        """Returns the first row of the part of a task."""
        return self.ring + task * self.part

    def fill_part(self, p, task, rows):
        """Copies `rows` of seed p into the part of `task`."""
        first = self.place(task)
        self.data[p, first : first + len(rows)] = self.data[p, rows]
        self.counts[p, task] = len(rows)

    def clear(self):
        """Forgets the recent rows; the stored parts stay."""
        self.seen = 0


class Replay(Ring):
    """A ring of vectors: a row is obs, action, reward, next_obs, done and a method's own columns side by side.

    A batch is therefore one gather.
    """

    def __init__(self, P, capacity, tasks, part, obs_dim, act_dim, device="cpu", more=None):
        widths = {"obs": obs_dim, "action": act_dim, "reward": 1, "next_obs": obs_dim, "done": 1} | (more or {})
        super().__init__(P, capacity, tasks, part, widths, device)
        self.first = torch.arange(P, device=device)[:, None] * self.data.shape[1]  # row 0 of each seed, flat

    def tensors(self):
        """Returns what must be saved besides `rows_so_far`: name -> tensor with a leading P."""
        return {"stored": self.data[:, self.ring :], "stored.rows": self.counts}

    def rows_so_far(self, p, first=0):
        """Returns the recent rows of a seed from row `first` on, [filled − first, D]; rows are only appended until it is full."""
        return self.data[p, first : self.filled].cpu().numpy()

    def restore_rows(self, p, rows):
        """Puts back what `rows_so_far` returned. Rows of plain SAC lack the columns of a method, which are the last ones."""
        self.data[p, : len(rows), : rows.shape[1]] = torch.from_numpy(rows)

    def add(self, obs, action, reward, next_obs, done, **more):
        """Appends E rows per seed: obs, next_obs [P, E, obs_dim], action [P, E, act_dim], reward, done [P, E].

        more: other columns [P, E, width] by name; columns that are not named are zeros.
        """
        given = {
            "obs": obs,
            "action": action,
            "reward": reward[..., None],
            "next_obs": next_obs,
            "done": done[..., None],
        } | more
        blank = lambda span: obs.new_zeros(*obs.shape[:2], span.stop - span.start)
        rows = torch.cat([given[k] if k in given else blank(span) for k, span in self.columns.items()], -1)  # [P, E, D]
        E, start = rows.shape[1], self.seen % self.capacity
        if start + E <= self.capacity:
            self.data[:, start : start + E] = rows
        else:
            self.data[:, (torch.arange(E, device=rows.device) + start) % self.capacity] = rows
        self.seen += E

    def gather(self, rows):
        """Returns the batch at `rows` [P, B]: {column: [P, B, width]}."""
        flat = self.data.flatten(0, 1).index_select(0, (rows + self.first).flatten()).unflatten(0, rows.shape)
        return {k: flat[..., span] for k, span in self.columns.items()}

    def store(self, task, gens):
        """Stores `part` of the recent rows for `task`, uniform without replacement, or all of them if there are fewer.

        A revisit replaces what was stored. gens: one generator per seed.
        """
        for p, g in enumerate(gens):
            self.fill_part(p, task, torch.randperm(self.filled, generator=g)[: self.part].to(self.data.device))
        if task not in self.tasks:
            self.tasks.append(task)

    def kept(self, task):
        """Returns the stored rows of `task` as views {column: [P, n, width]}: writing into them changes the stored rows."""
        first = self.place(task)
        last = first + int(self.counts[:, task].max())
        return {k: self.data[:, first:last, span] for k, span in self.columns.items()}
