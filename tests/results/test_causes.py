"""Why a skill goes: grafts, awakened neurons, controls of the score. Against loops and hands, and on made-up networks."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import synthetic
import torch
from test_figures import made_up_rollout, words
from test_result_notebooks import run

from nbsp_lib.envs.metaworld import MetaWorld
from nbsp_lib.results import awakening, clock, grafts, neuron_tables, old_states, retention
from nbsp_lib.runs.state import load_agent
from nbsp_lib.training import rollout as evaluate

PAGES = ("graft", "awakening", "clock")


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """One arm with two seeds, the second of which has not finished position 2."""
    folder = tmp_path_factory.mktemp("results")
    synthetic.write(folder, "window-once", "mask-only", seeds=(0, 1), finished={1: 1})
    return retention.read(folder / "window-once", ["mask-only"])


@pytest.fixture(scope="module")
def old(read):
    [(arm, found)] = old_states.read_old(read, 3)
    assert (arm, found.seed, found.tasks) == ("mask-only", 0, ("window-open", "window-close"))
    return found


def random_net(seed, sizes=(3, 4, 4, 2)):
    g = torch.Generator().manual_seed(seed)
    pairs = list(enumerate(itertools.pairwise(sizes)))
    return {f"w{i}": torch.randn(1, 1, a, b, generator=g) for i, (a, b) in pairs} | {
        f"b{i}": torch.randn(1, 1, 1, b, generator=g) for i, (_, b) in pairs
    }


def test_old_states_are_those_that_the_actor_saw(read, old):
    """The same loop by hand: 3 episodes of 20 steps, each in an environment of its own."""
    agent, method = load_agent(read["mask-only"].folder, 1, [0], read["mask-only"].run)
    for episode in range(3):
        env, seen = MetaWorld("window-open", (0,), 1, 20), []
        obs = env.reset(np.array([[episode]]))
        for _ in range(20):
            seen.append(obs[0, 0])
            action = agent.head.act(method, agent.actor, agent.actor.params, torch.from_numpy(obs), None)[0]
            obs = env.step(action.numpy())[0]
        assert np.allclose(np.stack(seen), old.obs[0, 20 * episode : 20 * (episode + 1)], atol=1e-4)
    assert old.obs.shape == (1, 60, 39) and old.goal.shape == (1, 60)
    means, hidden = old.answers(agent.actor.params)
    assert means.shape == (1, 60, 4) and [h.shape for h in hidden] == [(1, 60, 8)] * 2


def test_actors_side_by_side_play_as_alone(old, measured):
    actors = [old.first[0].actor.params, old.second[0].actor.params]
    success = old_states.play_actors(old, actors, "window-open", 2)
    gained = measured[0].outcome()[2].tolist()
    for end, s, g in zip((old.first, old.second), success, gained, strict=True):
        alone = evaluate.rollout(end[0], "window-open", [0], 2, 20, method=end[1])
        assert s == float(alone.outcome()[0]) and g == pytest.approx(float(alone.outcome()[2]), rel=1e-5)


@pytest.mark.parametrize("ends", ["incoming", "both"])
def test_grafts_weight_by_weight(ends):
    new, before = random_net(0), random_net(1)
    picked = [{0, 2}, {3}]
    units = [torch.tensor([n in chosen for n in range(4)])[None, None, None] for chosen in picked]
    found = grafts.put_back(new, before, units, ends)
    for i, sizes in enumerate([(3, 4), (4, 4), (4, 2)]):
        into, out = (picked[i] if i < 2 else set()), (picked[i - 1] if i and ends == "both" else set())
        for a, b in itertools.product(*map(range, sizes)):
            source = before if b in into or a in out else new
            assert found[f"w{i}"][0, 0, a, b] == source[f"w{i}"][0, 0, a, b]
        for b in range(sizes[1]):
            assert found[f"b{i}"][0, 0, 0, b] == (before if b in into else new)[f"b{i}"][0, 0, 0, b]


def test_grafts_of_nothing_of_the_output_and_of_everything():
    new, before = random_net(0), random_net(1)
    none, all_ = ([torch.full((1, 1, 1, 4), value)] * 2 for value in (False, True))
    assert all(torch.equal(p, new[k]) for k, p in grafts.put_back(new, before, none, "both").items())
    output = grafts.put_back(new, before, none, output=True)
    assert {k for k, p in output.items() if torch.equal(p, before[k])} == {"w2", "b2"}
    assert all(torch.equal(p, before[k]) for k, p in grafts.put_back(new, before, all_, "both", True).items())


def test_graft_list_is_nested_and_ends_at_the_old_actor(old):
    found = {(graft, order, share): params for graft, order, share, params in grafts.graft_list(old) if order}
    same = lambda params: sum(int((p == old.first[0].actor.params[k]).sum()) for k, p in params.items())
    for order in grafts.ORDERS:
        counts = [same(found["both ends", order, share]) for share in grafts.SHARES]
        assert counts == sorted(set(counts))
    assert same(found["incoming", "score", 0.2]) < same(found["both ends", "score", 0.2])
    assert len(found) == 10 and all(p is old.first[0].actor.params for *_, p in grafts.graft_list(old)[-1:])


def test_the_random_order_is_the_seeds_own_and_others_are_of_position_one(old):
    one, hidden = grafts.orders(old), torch.cat(old.answers(old.first[0].actor.params)[1], -1)
    assert torch.equal(one["random"], grafts.orders(old)["random"]) and one["random"].unique().numel() == 16
    assert torch.allclose(one["activation"], hidden[0].sum(0) / 60)
    good = (old.goal[0] > old.goal.mean())[:, None]
    agree = ((hidden[0] > hidden[0].mean(0)) == good).double().mean(0)
    assert torch.allclose(one["score"].double(), torch.maximum(agree, 1 - agree), atol=1e-6)


def test_tables_of_grafts_by_hand():
    rows = [
        ("a", seed, "both ends", order, 0.8, 1.0, value)
        for order, values in (("activation", (1.0, 0.8, 0.9)), ("random", (0.5, 0.6, 0.1)))
        for seed, value in enumerate(values)
    ]
    frame = pd.DataFrame(rows, columns=grafts.COLUMNS)
    table = grafts.graft_table(frame).set_index("graft")
    assert table.index.tolist() == [
        "both ends, 80 % by activation",
        "both ends, 80 % at random",
    ] and table.n.tolist() == [3, 3]
    assert table.loc["both ends, 80 % by activation", ["mean", "low", "high"]].tolist() == pytest.approx(
        [0.9, 0.9 - 4.302653 * 0.1 / 3**0.5, 0.9 + 4.302653 * 0.1 / 3**0.5]
    )
    mean, low, high = grafts.paired(frame, ("both ends", "activation", 0.8), ("both ends", "random", 0.8))["a"]
    half = 4.302653 * np.std([0.5, 0.2, 0.8], ddof=1) / 3**0.5
    assert (mean, low, high) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    figure = grafts.graft_figure(frame, "t", "success")
    bars, ticks = (figure.get_axes()[0].lines[i::2] for i in (0, 1))
    assert [bar.get_ydata().tolist() for bar in bars] == [[0, 0], [1, 1]]
    assert bars[0].get_xdata() == pytest.approx([0.9 - 4.302653 * 0.1 / 3**0.5, 1.0])  # cut at 1
    assert [tick.get_xdata().item() for tick in ticks] == pytest.approx([0.9, 0.4])


def test_share_of_a_change_by_hand():
    before, after, without = (
        torch.zeros(1, 2, 2),
        torch.tensor([[[3.0, 4], [0, 0]]]),
        torch.tensor([[[3.0, 0], [0, 2]]]),
    )
    # change (3, 4), (0, 0); after − without (0, 4), (0, −2): 16 of 25. The rest, without − before along the change: 9 of 25.
    assert awakening.share_through(before, after, without) == pytest.approx(16 / 25)
    assert awakening.share_through(after, before, without) == pytest.approx(9 / 25)


def test_the_old_actor_does_not_need_its_silent_neurons(old):
    quiet = awakening.formerly_silent(old)
    assert any(bool(one.any()) for one in quiet)
    first = old.answers(old.first[0].actor.params)[0]
    assert torch.allclose(old.answers(evaluate.silenced(old.first[0].actor, quiet))[0], first, atol=1e-6)


def test_with_the_active_held_only_awakened_neurons_are_left(old):
    quiet, first = awakening.formerly_silent(old), old.answers(old.first[0].actor.params)[0]
    held = awakening.held_active(old, quiet)
    assert not torch.allclose(old.answers(held)[0], first, atol=1e-3)
    net = type(old.first[0].actor)("actor", held)
    assert torch.allclose(old.answers(evaluate.silenced(net, quiet))[0], first, atol=1e-5)


def test_rows_of_awakening(read, old):
    change, played = awakening.awakening_rows(read, 3, 2)
    by = change.set_index("layer")
    assert change.seed.tolist() == [0, 0, 0] and by.silent["all"] == by.silent["1"] + by.silent["2"]
    assert by.awake["all"] == by.awake["1"] + by.awake["2"] and (change.awake <= change.silent).all()
    assert played.actor.tolist() == [*awakening.ACTORS, "position 2", "without"]
    assert played.task.tolist() == ["window-open"] * 4 + ["window-close"] * 2
    table = awakening.awakening_table(change, played)
    assert table.n.tolist() == [1] and table.share[0] == by.share["all"]
    assert "position 2, once active as before" in words(awakening.awakening_figure(change, played, "t", "success"))


def test_given_time_by_loops_and_a_clock_knows_nothing():
    g, E, T = torch.Generator().manual_seed(0), 5, 7
    hidden, goal = torch.rand(1, E * T, 3, generator=g), (torch.rand(1, E * T, generator=g) > 0.6).float()
    goal.view(E, T)[:, 2] = 1.0  # a time at which all episodes agree does not count
    hidden[0, :, 1] = torch.arange(T).repeat(E)  # the clock
    hidden[0, :, 2] = goal[0]
    found, accuracy = clock.given_time(hidden, goal, E)[0], []
    for t in range(T):
        h, q = hidden[0, :, 0].view(E, T)[:, t], goal.view(E, T)[:, t]
        good = q > q.mean()
        if good.any():
            active = h > h.mean()
            accuracy.append((active[good].float().mean() + (~active)[~good].float().mean()).item() / 2)
    mean = np.mean(accuracy)
    assert len(accuracy) < T and found.tolist() == pytest.approx([max(mean, 1 - mean), 0.5, 1.0])


def test_labels_that_are_the_clock_leave_the_choice_as_it_is():
    """Success from step 3 on in every episode: all labels of time are the true ones; nothing is left given the time."""
    E, T = 4, 6
    goal = (torch.arange(T) >= 3).float().repeat(E)[None]
    hidden = torch.rand(1, E * T, 10, generator=torch.Generator().manual_seed(3))
    episode = torch.arange(E).repeat_interleave(T)[None]
    draw = lambda kind, *shape: kind((1, *shape), generator=torch.Generator().manual_seed(0))
    found = clock.choices(hidden, goal, episode, 0.3, draw)
    kinds = [kind for kind, *_ in found]
    assert set(kinds) == {
        "late in the episode",
        "mean goal at this time",
        "labels of other episodes",
        "two halves of a rollout",
    }
    assert all((a == b).all() and a.sum() == 3 for kind, a, b in found if kind != "two halves of a rollout")
    halves = next((a, b) for kind, a, b in found if kind == "two halves of a rollout")
    for part, choice in zip((slice(12), slice(12, None)), halves, strict=True):
        scores = neuron_tables.skill_scores(hidden[:, part], goal[:, part])[0].numpy()
        assert (choice == neuron_tables.best(scores, 3)).all()


def test_horizons_by_hand():
    """Neuron 0 fires from step 2 on, neuron 1 never; success from step 3 of 4 on in one of two episodes."""
    goal = torch.tensor([[0, 0, 0, 1, 0, 0, 0, 0.0]])
    layer = torch.tensor([[0, 0, 1, 1, 0, 0, 1, 1], [0] * 8]).float().T[None, None]  # [1, 1, T, 2]
    rows = clock.horizon_rows({"actor": [layer], "critic": [layer]}, goal, 2, 0.5, [2, 3, 4, 9])
    frame = pd.DataFrame(rows, columns=clock.HORIZON[4:]).query("network == 'actor'").set_index("horizon")
    assert frame.index.tolist() == [2, 3, 4] and frame.silent.tolist() == [1.0, 0.5, 0.5]
    assert frame.chosen_silent.isna().tolist() == [True, True, False] and frame.base_rate[4] == pytest.approx(7 / 8)
    assert frame.chosen_silent[4] == 1.0  # silence agrees 7 times of 8, neuron 0 only 5 times


def test_controls_see_the_length_of_training(read):
    """Position 1 is rolled out as far as the longest horizon; the labels of the clock see the 20 steps of training."""
    overlaps, given, cuts = clock.score_controls(read, 3, 0.25, [10, 20, 30])
    assert cuts.groupby("position").horizon.max().to_dict() == {1: 30, 2: 20}
    again = clock.score_controls(read, 3, 0.25, [10, 20])
    pd.testing.assert_frame_equal(overlaps, again[0])
    pd.testing.assert_frame_equal(given, again[1])
    assert set(overlaps.network) == {"actor", "critic0", "critic1"} and overlaps.expected.nunique() == 1


def test_intervals_are_over_seeds_not_networks():
    rows = pd.DataFrame({"seed": [0, 0, 1, 1], "network": list("abab"), "x": [0.0, 1.0, 0.5, 0.5], "kind": "k"})
    [line] = clock.over_seeds(rows, ["kind"], "x").itertuples()
    assert (line.n, line.mean, line.low, line.high) == (2, 0.5, 0.5, 0.5)


def test_a_rollout_without_labels_is_left_out_of_the_controls():
    played = made_up_rollout(0, goal=1)
    rows = clock.horizon_rows(played.hidden, played.goal("success"), 4, 0.25, [6])
    assert all(np.isnan(row[2]) and np.isnan(row[4]) for row in rows) and len(rows) == 3


@pytest.mark.parametrize("page", PAGES)
def test_pages_on_made_up_results_and_on_none(page, tmp_path):
    arm = "nbsp" if page == "clock" else "fine-tuning"
    synthetic.write(tmp_path, "window", arm, seeds=(0, 1), finished={1: 2})
    small = {"episodes": 2, "horizons": "10 20 30"} if page == "clock" else {"episodes": 2, "states": 2}
    said = run(f"results/{page}", folder=str(tmp_path / "window"), out=str(tmp_path / page), **small).data
    assert said.startswith("- ") and {".png", ".svg", ".csv"} <= {path.suffix for path in (tmp_path / page).iterdir()}
    empty = run(f"results/{page}", folder=str(tmp_path / "none"), out=str(tmp_path / "no" / page), **small).data
    assert empty.startswith("No ") and {".png", ".csv"} <= {path.suffix for path in (tmp_path / "no" / page).iterdir()}
