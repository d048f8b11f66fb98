"""The ring of frames: stacks by hand across the ends of games and of the ring, and against all stacks kept whole."""

import pytest
import tiny
import torch

from nbsp_lib.core.frame_replay import Frames

SIDE = (2, 3)


def picture(*numbers):
    """[1, E, 2, 3] uint8: one number all over, an environment each."""
    return torch.tensor(numbers, dtype=torch.uint8)[None, :, None, None].expand(1, -1, *SIDE)


def numbers(pictures):
    """What `picture` painted, [...] of [..., 2, 3], after a check that every picture is whole."""
    assert pictures.dtype == torch.uint8 and (pictures == pictures[..., :1, :1]).all()
    return pictures[..., 0, 0].tolist()


def played(ring, steps, first=10):
    """One environment plays steps, each "" or made of b (its frame begins a game), d (done) and c (cut): frame n of all is
    `first` + n, the last frame of a game that ends 200 + n; actions 0, 1, 2 …, rewards tenfold. Stacks that were acted from."""
    flag = lambda on: torch.tensor([[float(on)]])
    acted = []
    for n, step in enumerate(steps):
        acted.append(numbers(ring.see(picture(first + n), torch.tensor([["b" in step]])))[0][0])
        ends = n + 1 < len(steps) and "b" in steps[n + 1]
        last = picture(200 + n if ends else first + n + 1)
        ring.add(flag(n)[..., None], flag(10 * n), last, flag("d" in step), flag("c" in step))
    return acted


def batch_of(ring, rows):
    batch = ring.gather(torch.tensor([rows]))
    return {k: numbers(t)[0] if k.endswith("obs") else t[0, :, 0].tolist() for k, t in batch.items()}


def one(capacity=6, **more):
    return Frames(1, capacity, 2, 2, 1, **{"side": SIDE} | more)


def test_stacks_by_hand_across_the_ends_of_games():
    """A game of two steps that is lost, one of three that is cut, and another; seen in the order of the ring."""
    ring = one(capacity=8)
    acted = played(ring, ["b", "d", "b", "", "c", "b", "", ""])
    assert acted == [
        [10] * 4,
        [10, 10, 10, 11],
        [12] * 4,
        [12, 12, 12, 13],
        [12, 12, 13, 14],
        [15] * 4,
        [15, 15, 15, 16],
        [15, 15, 16, 17],
    ]
    batch = batch_of(ring, list(range(8)))
    want = [*acted[:4], acted[3], *acted[5:]]  # row 4, the step that was cut, gives way to row 3
    assert batch["obs"] == want
    assert batch["next_obs"] == [
        [10, 10, 10, 11],
        [10, 10, 11, 11],
        [12, 12, 12, 13],
        [12, 12, 13, 14],
        [12, 12, 13, 14],
        [15, 15, 15, 16],
        [15, 15, 16, 17],
        [15, 16, 17, 18],
    ]
    assert batch["action"] == [0, 1, 2, 3, 3, 5, 6, 7] and batch["reward"] == [0, 10, 20, 30, 30, 50, 60, 70]
    assert batch["done"] == [0, 1, 0, 0, 0, 0, 0, 0] and set(batch) == {"obs", "next_obs", "action", "reward", "done"}


def test_the_log_from_a_row_on_is_the_rest_of_the_log():
    ring = one(side=(2, 4))
    ring.frames.random_(generator=torch.Generator().manual_seed(0))
    ring.data.normal_(generator=torch.Generator().manual_seed(1))
    ring.seen = 5
    whole = ring.rows_so_far(0)
    assert whole.shape == (5, 2 + 5)
    for first in range(6):
        assert ring.rows_so_far(0, first).tobytes() == whole[first:].tobytes()


def test_a_life_that_is_lost_ends_no_game():
    ring = one()
    played(ring, ["b", "d", ""])
    batch = batch_of(ring, [1, 2])
    assert batch["done"] == [1, 0] and batch["obs"][1] == [10, 10, 11, 12] and batch["next_obs"][1] == [10, 11, 12, 13]


def test_the_ring_wraps_around_and_the_oldest_rows_keep_their_stacks():
    ring = one(capacity=6)  # 11 places
    for n in range(30):
        played(ring, ["b" if n == 0 else ""], first=10 + n)
        rows = ring.recent(torch.arange(ring.filled)[None] / ring.filled + 0.01)
        oldest, newest = max(0, n - 5), n
        want = [[max(10, 10 + k - j) for j in (3, 2, 1, 0)] for k in range(oldest, newest + 1)]
        batch = batch_of(ring, rows[0].tolist())
        assert batch["obs"] == want
        assert batch["next_obs"] == [[*stack[1:], stack[3] + 1] for stack in want]
    assert (ring.seen, ring.filled) == (30, 6)


def test_a_cut_step_that_is_the_oldest_row_gives_way_to_a_whole_one_too():
    ring = one(capacity=6)
    played(ring, ["b", "", "", "", "", "", "c", "b", "", "", "", ""])
    assert ring.recent(torch.zeros(1, 1)).item() == 6
    batch = batch_of(ring, [6])
    assert batch["action"] == [5] and batch["obs"] == [[12, 13, 14, 15]] and batch["next_obs"] == [[13, 14, 15, 16]]


def experience(seeds, E, steps, purpose=1):
    """[P] lists of steps: frame, began, action, reward, last, done, cut of E environments with games of 2 to 7 steps."""
    made = []
    for g in tiny.generators(seeds, purpose):
        draw = lambda high, *shape, g=g: torch.randint(high, shape, generator=g)
        left, frame, began, rows = draw(6, E) + 2, draw(256, E, *SIDE).byte(), torch.ones(E, dtype=torch.bool), []
        for _ in range(steps):
            left = left - 1
            over = left == 0
            cut = over & (draw(2, E) > 0)
            last = draw(256, E, *SIDE).byte()
            rows.append(
                (frame, began, draw(18, E, 1).float(), draw(9, E).float(), last, (over & ~cut).float(), cut.float())
            )
            frame = torch.where(over[:, None, None], draw(256, E, *SIDE).byte(), last)
            began, left = over, torch.where(over, draw(6, E) + 2, left)
        made.append(rows)
    return [[torch.stack(pieces) for pieces in zip(*step)] for step in zip(*made)]


class Whole:
    """The same experience with every stack kept whole in a list, oldest first: rows of one seed."""

    def __init__(self, E):
        self.rows, self.now = [], [None] * E

    def see(self, frame, began):
        for e in range(len(frame)):
            self.now[e] = [frame[e]] * 4 if began[e] else [*self.now[e][1:], frame[e]]
        return torch.stack([torch.stack(stack) for stack in self.now])

    def add(self, action, reward, last, done, cut):
        for e, stack in enumerate(self.now):
            following = stack[-1] if done[e] else last[e]
            self.rows.append(
                {
                    "obs": torch.stack(stack),
                    "next_obs": torch.stack([*stack[1:], following]),
                    "action": action[e],
                    "reward": reward[e, None],
                    "done": done[e, None],
                    "cut": bool(cut[e]),
                }
            )


@pytest.mark.parametrize("E", [1, 3])
def test_every_row_is_that_of_stacks_kept_whole(E):
    """Two seeds, games that end by themselves and by a cut, a ring that wraps seven times."""
    seeds, capacity = (0, 1), 12
    ring, whole = Frames(2, capacity, 1, 2, E, side=SIDE), [Whole(E), Whole(E)]
    for frame, began, *rest in experience(seeds, E, 100 // E):
        shown = ring.see(frame, began)
        for p in range(2):
            assert torch.equal(shown[p], whole[p].see(frame[p], began[p]))
            whole[p].add(*(t[p] for t in rest))
        ring.add(*rest)
        rows = ring.recent((torch.arange(ring.filled) + 0.5).expand(2, -1) / ring.filled)
        batch = ring.gather(rows)
        for p in range(2):
            last = whole[p].rows
            for i, n in enumerate(range(len(last) - ring.filled, len(last))):
                want = last[n - E] if last[n]["cut"] else last[n]
                assert all(torch.equal(batch[k][p, i], want[k]) for k in batch)


def test_a_part_is_stored_whole_and_survives_the_next_position():
    ring = one(more={"q": 2})
    played(ring, ["b", "c"])  # one row that is no cut: it alone is stored and drawn
    ring.store(0, tiny.generators((0,), 1))
    assert ring.counts.tolist() == [[1, 0]] and len(ring.kept(0)["action"][0]) == 1
    assert ring.stored(torch.zeros(1, 1), torch.tensor([[0.0, 0.9]])).tolist() == [[ring.ring] * 2]
    ring.clear()
    ring.tasks, ring.counts[:] = [], 0
    played(ring, ["b", "d", "b", "", "c", "b"])
    ring.data[:, : ring.ring, ring.columns["q"]] = 5.0
    ring.store(1, tiny.generators((0,), 1))
    place = [ring.ring + 2, ring.ring + 3]  # of task 1, whoever was stored first
    before = batch_of(ring, place)
    assert len(set(before["action"])) == 2 and 4 not in before["action"] and before["q"] == [5, 5] and ring.tasks == [1]
    seen = {0: [10] * 4, 1: [10, 10, 10, 11], 2: [12] * 4, 3: [12, 12, 12, 13], 5: [15] * 4}
    assert [seen[int(a)] for a in before["action"]] == before["obs"]
    part = ring.kept(1)
    assert numbers(part["obs"])[0] == before["obs"] and numbers(part["next_obs"])[0] == before["next_obs"]
    part["q"].fill_(7.0)
    ring.clear()
    played(ring, ["b"] + [""] * 20, first=100)
    after = batch_of(ring, place)
    assert after.pop("q") == [7, 7] and after == {k: v for k, v in before.items() if k != "q"}
    assert ring.stored(torch.zeros(1, 1), torch.tensor([[0.0, 0.9]])).tolist() == [place]
    ring.store(0, tiny.generators((0,), 2))
    assert batch_of(ring, place)["obs"] == before["obs"] and ring.tasks == [1, 0]


def test_what_is_stored_is_uniform_and_never_a_cut_step():
    counts = torch.zeros(5)
    for seed in range(400):
        ring = one(capacity=5)
        played(ring, ["b", "", "c", "b", ""])
        ring.store(0, tiny.generators((seed,), 1))
        counts[torch.tensor(batch_of(ring, [ring.ring, ring.ring + 1])["action"]).long()] += 1
    assert counts[2] == 0 and (counts[[0, 1, 3, 4]] - 200).abs().max() < 6 * 100**0.5


def test_a_seed_is_the_same_in_any_population():
    def lived(seeds):
        ring = Frames(len(seeds), 12, 2, 3, 2, side=SIDE)
        for frame, began, *rest in experience(seeds, 2, 20):
            ring.see(frame, began)
            ring.add(*rest)
        ring.store(1, tiny.generators(seeds, 2))
        u = torch.stack([torch.rand(9, generator=g) for g in tiny.generators(seeds, 3)])
        rows = torch.cat([ring.recent(u), ring.stored(torch.zeros(len(seeds), 1), u)], 1)
        return [ring.data, ring.frames, rows, *ring.gather(rows).values()]

    together = lived((0, 1, 2))
    for p in range(3):
        assert all(torch.equal(a[p], b[0]) for a, b in zip(together, lived((p,))))


def test_the_largest_draw_is_the_last_row_and_the_size_is_said_to_be_wrong():
    ring, largest = Frames(1, 160_000, 1, 16_000, 1, side=(1, 1)), torch.tensor([[1 - 2**-24]])
    ring.seen, ring.tasks, ring.counts[:] = 160_000, [0], 16_000
    assert ring.recent(largest).item() == 159_999 and ring.stored(largest, largest).item() == ring.ring + 15_999
    ring.seen = 160_006  # 160,005 places: row 160,005 stands at 0
    assert ring.recent(torch.zeros(1, 1)).item() == 6 and ring.recent(largest).item() == 0
    with pytest.raises(ValueError, match="no multiple of 4"):
        Frames(1, 10, 1, 1, 4)
