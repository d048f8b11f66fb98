"""A ring of pictures per seed on the training device, each stored once: the counterpart of replay.Replay for images.

P population, N rows, B batch, E environments of a seed, D floats in a row, M distinct tasks, K frames in a stack. A transition
takes one frame and a few floats. Sampling assembles the stacks. Before the first frame of a game a stack repeats that frame,
as gymnasium's FrameStackObservation does, so that no stack reaches into another game.
"""

from __future__ import annotations

import torch

from nbsp_lib.core.frames import FRAME_STACK, SCREEN
from nbsp_lib.core.replay import Ring


class Frames(Ring):
    """Keeps the last `capacity` transitions, and M parts of at most `part` rows each of stored tasks.

    The next row of an environment is E rows further in the ring, and its frame is the next frame. The ring has room for K + 1
    steps more than `capacity` rows: for the next frame of the newest row and the stacks of the oldest. Stored rows keep their
    own K + 1 frames, because their neighbours are not stored: a part of 10 % takes half as much memory as the ring. The last
    step before a truncation is never sampled, because its next frame is overwritten by the new game's first frame: the step
    before it is taken instead, so a truncated game needs two steps. ValueError if `capacity` is no multiple of `envs`.
    """

    def __init__(self, P, capacity, tasks, part, envs, device="cpu", more=None, side=SCREEN, stack=FRAME_STACK):
        if capacity % envs:
            raise ValueError(f"capacity {capacity} is no multiple of {envs} environments")
        widths = {"action": 1, "reward": 1, "done": 1, "age": 1, "cut": 1} | (more or {})
        super().__init__(P, capacity, tasks, part, widths, device, spare=(stack + 1) * envs)
        self.envs, self.stack = envs, stack
        slots = self.ring + tasks * part * (stack + 1)
        self.frames = torch.zeros(P, slots, *side, dtype=torch.uint8, device=device)
        self.first = torch.arange(P, device=device)[:, None]

    def tensors(self):
        """Returns what must be saved besides `rows_so_far`, name -> tensor with a leading P: stored parts, and the frames that
        the newest step led to."""
        return {
            "stored": self.data[:, self.ring :],
            "stored.frames": self.frames[:, self.ring :],
            "stored.rows": self.counts,
            "newest": self.frames[:, self.step(0)],
        }

    def rows_so_far(self, p, first=0):
        """Returns the rows of a seed in this position from row `first` on, float32 [seen − first, H·W/4 + D]: the bytes of the
        frame, then the numbers."""
        frames = self.frames[p, first : self.seen].flatten(1).cpu().contiguous().view(torch.float32)
        return torch.cat([frames, self.data[p, first : self.seen].cpu()], 1).numpy()

    def restore_rows(self, p, rows):
        """Puts back what `rows_so_far` returned. Rows of plain SAC lack the columns of a method, which are the last ones."""
        n, pixels = len(rows), self.frames[0, 0].numel()
        if not n:
            return
        rows = torch.from_numpy(rows)
        self.frames[p, :n] = rows[:, : pixels // 4].contiguous().view(torch.uint8).unflatten(1, self.frames.shape[2:])
        self.data[p, :n, : rows.shape[1] - pixels // 4] = rows[:, pixels // 4 :]

    def step(self, back):
        """Returns the slice of E ring rows that were added `back` steps ago (back > 0) or will be added in −back steps (back
        <= 0)."""
        start = (self.seen - back * self.envs) % self.ring
        return slice(start, start + self.envs)

    def see(self, frame, began):
        """Writes the newest frames [P, E, H, W] uint8 -> the stacks [P, E, K, H, W] to act from.

        began [P, E]: whether a frame is the first of its game; all are if nothing has been added yet.
        """
        now, age = self.step(0), self.columns["age"]
        self.frames[:, now] = frame
        older = (self.data[:, self.step(1), age] + 1).clamp_(max=self.stack - 1)  # [P, E, 1]
        self.data[:, now, age] = older.masked_fill_(began[..., None], 0) if self.seen else 0
        rows = torch.arange(now.start, now.stop, device=frame.device).expand(len(frame), -1)
        return self.pictures(self.slots(rows)[..., :-1])

    def add(self, action, reward, next_frame, done, cut, **more):
        """Completes the E rows per seed whose frames `see` wrote: action [P, E, 1], reward, done, cut [P, E], next_frame [P,
        E, H, W].

        next_frame: what the action led to. more: other columns [P, E, width] by name, zeros if not named. done: the value of
        what follows is 0. cut: the next frame to be seen belongs to another game although this step is not done.
        """
        now = self.step(0)
        given = {"action": action, "reward": reward[..., None], "done": done[..., None], "cut": cut[..., None]} | more
        for k, span in self.columns.items():
            if k != "age":
                self.data[:, now, span] = given[k].to(self.data.dtype) if k in given else 0
        self.frames[:, self.step(-1)] = next_frame
        self.seen += self.envs

    def recent(self, u):
        """Returns row numbers, shaped like u, uniform over the recent rows if u is uniform in [0, 1)."""
        return (super().recent(u) + (self.seen - self.filled)) % self.ring

    def of(self, rows, column):
        """Returns the one number in `column` of `rows` [P, B], as an integer."""
        return self.data[self.first, rows, self.columns[column].start].long()

    def slots(self, rows):
        """Returns the slots of the K frames of rows [P, B], the oldest first, and of their next frame, [P, B, K + 1].

        The next frame of a done step, which no loss uses, is its last frame again.
        """
        K, back = self.stack, torch.arange(self.stack - 1, -2, -1, device=rows.device)  # K − 1 … 0, −1
        age, done, rows = (t[..., None] for t in (self.of(rows, "age"), self.of(rows, "done"), rows))
        ring = (rows - torch.minimum(back, age).maximum(done - 1) * self.envs) % self.ring
        kept = self.ring + (rows - self.ring) * (K + 1) + (K - 1 - back)
        return torch.where(rows < self.ring, ring, kept)

    def pictures(self, slots):
        """Returns the frames at slots [P, B, n] as [P, B, n, H, W]."""
        flat = (slots + self.first[..., None] * self.frames.shape[1]).flatten()
        return self.frames.flatten(0, 1).index_select(0, flat).unflatten(0, slots.shape)

    def gather(self, rows):
        """Returns the batch at `rows` [P, B]: a dict of [P, B, width], obs and next_obs [P, B, K, H, W] uint8."""
        rows = torch.where(self.of(rows, "cut") > 0, (rows - self.envs) % self.ring, rows)
        numbers, pictures = self.data[self.first, rows], self.pictures(self.slots(rows))
        batch = {k: numbers[..., span] for k, span in self.columns.items() if k not in ("age", "cut")}
        return batch | {"obs": pictures[:, :, :-1], "next_obs": pictures[:, :, 1:]}

    def store(self, task, gens):
        """Stores `part` of the recent rows for `task`, uniform without replacement, or all of them if there are fewer. A
        revisit replaces what was stored."""
        recent = (torch.arange(self.filled, device=self.first.device) + self.seen - self.filled) % self.ring
        alive = [recent[self.data[p, recent, self.columns["cut"].start] == 0] for p in range(len(gens))]
        drawn = [
            rows[torch.randperm(len(rows), generator=g)[: self.part].to(rows.device)] for rows, g in zip(alive, gens)
        ]
        for p, rows in enumerate(drawn):
            slots = self.slots(rows.expand(len(self.data), -1))[p]  # [n, K + 1]
            self.parts(task)[p, : len(rows)].copy_(self.frames[p][slots])
            self.fill_part(p, task, rows)
        if task not in self.tasks:
            self.tasks.append(task)

    def parts(self, task):
        """Returns a view of the frames of the stored rows of `task`, [P, part, K + 1, H, W]."""
        n = self.part * (self.stack + 1)
        return self.frames[:, self.ring + task * n : self.ring + (task + 1) * n].unflatten(1, (self.part, -1))

    def kept(self, task):
        """Returns the stored rows of `task` as views {column: [P, n, width]}, obs and next_obs as in `gather`: writing into
        them changes the stored rows."""
        place, n = self.place(task), int(self.counts[:, task].max())
        frames = self.parts(task)[:, :n]
        views = {
            k: self.data[:, place : place + n, span] for k, span in self.columns.items() if k not in ("age", "cut")
        }
        return views | {"obs": frames[:, :, :-1], "next_obs": frames[:, :, 1:]}


class FrameStack:
    """Frame stacks [P, E, K, H, W] for callers without a replay, equal to those of Frames.see."""

    def __init__(self, stack=FRAME_STACK):
        self.stack, self.seen = stack, None

    def __call__(self, frame, began):
        if self.seen is None:
            self.seen = frame[:, :, None].repeat(1, 1, self.stack, 1, 1)
        else:
            moved = torch.cat([self.seen[:, :, 1:], frame[:, :, None]], 2)
            self.seen = torch.where(began[..., None, None, None], frame[:, :, None].expand_as(moved), moved)
        return self.seen
