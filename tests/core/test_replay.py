"""The ring and the stored parts: rows by hand, draws only from what is there, every seed from its own generators."""

import tiny
import torch

from nbsp_lib.core.replay import Replay

P, CAPACITY, PART, TASKS = 2, 6, 3, 2


def uniform(seeds, *shape, purpose=1):
    """[*shape[:-1], P, shape[-1]] uniform in [0, 1), every seed from its own generator."""
    return torch.stack([torch.rand(shape, generator=g) for g in tiny.generators(seeds, purpose)], -2)


def replay(seeds=(0, 1), capacity=CAPACITY, part=PART):
    return Replay(len(seeds), capacity, TASKS, part, obs_dim=2, act_dim=1)


def add(ring, first, E=1, seeds=(0, 1)):
    """E rows numbered from `first`: row n of seed p: obs (n, p), action −n, reward 10n, next_obs (n + 1, p), done 0."""
    n = torch.arange(first, first + E, dtype=torch.float32).expand(len(seeds), E)
    p = torch.tensor(seeds, dtype=torch.float32)[:, None].expand_as(n)
    ring.add(torch.stack([n, p], -1), -n[..., None], 10 * n, torch.stack([n + 1, p], -1), torch.zeros_like(n))


def numbers(ring, rows):
    """The numbers [P][B] of the rows at `rows`, after a check that each row is whole and of its own seed."""
    batch = ring.gather(rows)
    n, p = batch["obs"][..., 0], torch.arange(len(rows))[:, None].expand_as(rows)
    assert torch.equal(batch["obs"][..., 1], p.float()) and torch.equal(batch["action"][..., 0], -n)
    assert torch.equal(batch["reward"][..., 0], 10 * n) and torch.equal(batch["next_obs"][..., 0], n + 1)
    assert not batch["done"].any() and batch["reward"].shape == (*rows.shape, 1)
    return n.int().tolist()


def all_recent(ring):
    return numbers(ring, torch.arange(ring.filled).expand(P, -1))


def test_the_ring_by_hand():
    ring = replay()
    for first in range(0, 4, 2):
        add(ring, first, E=2)
    assert (ring.seen, ring.filled) == (4, 4) and all_recent(ring) == [[0, 1, 2, 3]] * P
    add(ring, 4, E=2)
    assert (ring.seen, ring.filled) == (6, 6)
    add(ring, 6, E=2)  # the oldest rows go
    assert (ring.seen, ring.filled) == (8, 6) and all_recent(ring) == [[6, 7, 2, 3, 4, 5]] * P


def test_the_ring_wraps_within_one_addition_and_spares_the_stored_parts():
    ring = replay()
    ring.data[:, CAPACITY:] = 77.0
    add(ring, 0, E=4)
    add(ring, 4, E=4)  # rows 4 and 5 fill the ring, 6 and 7 begin again
    assert all_recent(ring) == [[6, 7, 2, 3, 4, 5]] * P
    assert (ring.data[:, CAPACITY:] == 77).all()


def test_the_ring_is_the_last_rows_in_any_mixture_of_additions():
    ring, last = replay(), []
    for E in (1, 3, 2, 5, 1, 4, 6, 2, 3):
        add(ring, len(last), E)
        last += range(len(last), len(last) + E)
        want = sorted(last[-CAPACITY:])
        assert [sorted(row) for row in all_recent(ring)] == [want] * P


def test_recent_rows_are_drawn_from_what_is_filled_and_evenly():
    ring = replay(capacity=100)
    add(ring, 0, E=5)
    rows = ring.recent(uniform((0, 1), 5000))
    assert rows.shape == (P, 5000) and (rows.min(), rows.max()) == (0, 4)
    counts = torch.stack([row.bincount(minlength=5) for row in rows])
    assert (counts - 1000).abs().max() < 6 * (5000 * 0.2 * 0.8) ** 0.5
    assert not torch.equal(rows[0], rows[1])
    rows = ring.recent(uniform((0, 1), 10))
    assert all(set(row) <= set(range(5)) for row in numbers(ring, rows))


def test_a_part_is_stored_without_repetition_and_survives_the_next_position():
    ring, gens = replay(), tiny.generators((0, 1), 1)
    add(ring, 0, E=5)
    ring.store(1, gens)
    first = CAPACITY + 1 * PART  # the place of task 1, whoever was stored first
    stored = numbers(ring, torch.arange(first, first + PART).expand(P, -1))
    assert all(len(set(row)) == PART and set(row) <= set(range(5)) for row in stored)
    assert ring.tasks == [1] and not ring.data[:, CAPACITY:first].any()
    ring.clear()
    assert (ring.seen, ring.filled) == (0, 0)
    for n in range(100, 100 + 2 * CAPACITY):
        add(ring, n)
    assert numbers(ring, torch.arange(first, first + PART).expand(P, -1)) == stored
    ring.store(0, gens)
    assert numbers(ring, torch.arange(first, first + PART).expand(P, -1)) == stored and ring.tasks == [1, 0]


def test_a_revisit_replaces_the_part_of_its_task_only():
    ring, gens = replay(), tiny.generators((0, 1), 1)
    for visit, task in enumerate((0, 1, 0)):
        ring.clear()
        add(ring, 100 * visit, E=CAPACITY)
        ring.store(task, gens)
    part = lambda task: numbers(ring, torch.arange(PART).expand(P, -1) + CAPACITY + task * PART)
    assert all(200 <= n < 206 for row in part(0) for n in row) and all(100 <= n < 106 for row in part(1) for n in row)
    assert ring.tasks == [0, 1]


def test_what_is_stored_is_uniform_over_the_whole_position():
    counts = torch.zeros(10)
    for seed in range(600):
        ring = replay(seeds=(0,), capacity=10)
        add(ring, 0, E=10, seeds=(0,))
        ring.store(0, tiny.generators((seed,), 1))
        counts[numbers(ring, torch.arange(10, 13)[None])[0]] += 1
    assert counts.sum() == 1800 and (counts - 180).abs().max() < 6 * (600 * 0.3 * 0.7) ** 0.5


def test_a_stored_draw_takes_one_task_per_update_uniformly_and_only_stored_ones():
    ring = Replay(P, CAPACITY, 3, PART, 2, 1)
    ring.tasks, ring.counts[:] = [2, 0], PART  # task 1 was not visited yet
    rows = ring.stored(uniform((0, 1), 3000, 1), uniform((0, 1), 3000, 8, purpose=2))  # [U, P, B]
    assert rows.shape == (3000, P, 8)
    task, row = (rows - CAPACITY) // PART, (rows - CAPACITY) % PART
    assert rows.min() >= CAPACITY and set(task.unique().tolist()) == {0, 2}
    assert (task == task[..., :1]).all()  # a whole batch from one task
    share = (task[..., 0] == 2).float().mean(0)
    assert (share - 0.5).abs().max() < 6 * (0.25 / 3000) ** 0.5
    assert not torch.equal(task[:, 0, 0], task[:, 1, 0])  # each seed decides for itself
    counts = row.flatten().bincount()
    assert len(counts) == PART and (counts - 16000).abs().max() < 6 * (48000 * 2 / 9) ** 0.5


def test_draws_and_parts_do_not_depend_on_the_population():
    def played(seeds):
        ring, gens = replay(seeds), tiny.generators(seeds, 1)
        add(ring, 0, E=6, seeds=seeds)
        drawn = [ring.recent(uniform(seeds, 20))]
        ring.store(0, gens)
        ring.store(1, gens)
        return [*drawn, ring.stored(uniform(seeds, 9, 1), uniform(seeds, 9, 4, purpose=2)).transpose(0, 1), ring.data]

    together = played((0, 1, 2))
    for p in range(3):
        assert all(torch.equal(a[p], b[0]) for a, b in zip(together, played((p,))))


def test_a_short_position_is_stored_whole_and_only_its_rows_are_drawn():
    """Two rows seen, three have room; a longer position then fills the part, a short revisit leaves two of them again."""
    ring, gens, u = replay(), tiny.generators((0, 1), 1), uniform((0, 1), 500, purpose=2)
    drawn = lambda: [sorted(set(row)) for row in numbers(ring, ring.stored(torch.zeros(P, 1), u))]
    add(ring, 0, E=2)
    ring.store(0, gens)
    assert ring.counts.tolist() == [[2, 0]] * P and drawn() == [[0, 1]] * P
    assert ring.kept(0)["reward"].sort(1).values[..., 0].tolist() == [[0.0, 10.0]] * P
    ring.clear()
    add(ring, 10, E=CAPACITY)
    ring.store(0, gens)
    assert ring.counts.tolist() == [[PART, 0]] * P and all(len(row) == PART and min(row) >= 10 for row in drawn())
    ring.clear()
    add(ring, 20, E=2)
    ring.store(0, gens)
    assert drawn() == [[20, 21]] * P


def test_a_part_has_as_many_rows_as_its_own_seed_stored():
    ring = Replay(P, CAPACITY, TASKS, PART, 2, 1)
    ring.tasks, ring.counts[:, 1] = [1], torch.tensor([1, 3])
    rows = ring.stored(torch.zeros(P, 1), uniform((0, 1), 500)) - CAPACITY - PART
    assert [sorted(set(row)) for row in rows.tolist()] == [[0], [0, 1, 2]]


def test_the_largest_draw_is_the_last_row():
    """The largest float32 below 1 times a number of rows rounds up to that number; the row after the last is not drawn."""
    ring, largest = Replay(1, 160_000, 1, 16_000, 2, 1), torch.tensor([[1 - 2**-24]])
    ring.seen, ring.tasks, ring.counts[:] = 160_000, [0], 16_000
    assert ring.recent(largest).item() == 159_999 and ring.stored(largest, largest).item() == 175_999
    assert (
        ring.recent(torch.zeros(1, 1)).item() == 0
        and ring.stored(torch.zeros(1, 1), torch.zeros(1, 1)).item() == 160_000
    )
