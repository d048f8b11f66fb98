"""NBSP: what a mask does to a step, which rows an update learns from, what a task end changes and what it leaves."""

import pytest
import tiny
import torch

from nbsp_lib.core import conv, neurons, sac
from nbsp_lib.core.method import Method
from nbsp_lib.methods import selection
from nbsp_lib.methods.nbsp import NBSP


def trained_pair(P=2, **settings):
    """An agent in mid-training, its NBSP with random masks in the union, a copy of the agent, the replay, the seeds."""
    seeds, method = tuple(range(P)), NBSP(**settings)
    agent, replay = tiny.make(method, seeds)
    tiny.learn(agent, replay, method, seeds, 5)
    twin, _ = tiny.copied(agent, method)
    g = torch.Generator().manual_seed(3)
    for k, t in method.state.items():
        if "union" in k:
            t.copy_(torch.where(torch.rand(t.shape, generator=g) < 0.3, 0.1 * torch.rand(t.shape, generator=g), 1.0))
    return agent, method, twin, replay, seeds


def one_update(agent, method, replay, seeds):
    (recent,), (stored,), (noise,) = tiny.draws(replay, seeds, 1, purpose=4)
    sac.update_from_rows(agent, replay, recent, stored, {"sac": noise}, method, tiny.SETTINGS)


def masks_of(method, net):
    """Mask [P, C, 1, W] of every parameter by name; the output layer has none."""
    unit = {i: method.state[f"{net.name}.union{i}"] for i in range(net.depth - 1)}
    return {k: unit.get(int(k[1:]), torch.ones(1)) for k in net.params}


def free_steps(agent, replay, seeds, net_name):
    """The step that Adam would take without a mask, by name, from the same batch, in a throwaway copy."""

    class Spy(Method):
        def shape_step(self, net, steps, noise):
            if net.name == net_name:
                self.steps = {k: t.clone() for k, t in steps.items()}
            return steps

    spy, (twin, _) = Spy(), tiny.copied(agent, None)
    one_update(twin, spy, replay, seeds)
    return spy.steps


@pytest.mark.parametrize("name, other", [("critic", "actor"), ("actor", "critic")])
def test_a_masked_neuron_moves_by_exactly_its_share_of_the_free_step(name, other):
    """Incoming weights and bias of its own layer only; every other parameter moves as freely as without a mask.

    One network at a time: a held-back critic would change the actor's loss, and so its free step.
    """
    agent, method, _, replay, seeds = trained_pair(**{other: False})
    net = getattr(agent, name)
    steps, before = free_steps(agent, replay, seeds, name), {k: p.clone() for k, p in net.params.items()}
    one_update(agent, method, replay, seeds)
    for k, mask in masks_of(method, net).items():
        assert torch.equal(net.params[k], before[k] + steps[k] * mask)
        held = (mask < 1).expand_as(steps[k])
        assert held.any() == (k not in ("w2", "b2"))
        assert torch.equal(net.params[k][~held], (before[k] + steps[k])[~held])


def test_a_network_that_is_not_masked_moves_as_if_there_were_no_mask():
    """actor=False, critic=False: the state is there, but nothing is held back."""
    agent, method, twin, replay, seeds = trained_pair(actor=False, critic=False)
    one_update(agent, method, replay, seeds)
    one_update(twin, Method(), replay, seeds)
    assert not tiny.differing(agent.tensors(), twin.tensors())
    agent, method, twin, replay, seeds = trained_pair(critic=False)
    one_update(agent, method, replay, seeds)
    one_update(twin, Method(), replay, seeds)
    changed = tiny.differing(agent.tensors(), twin.tensors())
    assert changed and all(k.startswith("actor.params") for k in changed)


def test_the_moments_of_adam_see_the_free_gradient_under_a_step_mask():
    agent, method, twin, replay, seeds = trained_pair(actor=False)
    one_update(agent, method, replay, seeds)
    one_update(twin, Method(), replay, seeds)
    changed = tiny.differing(agent.critic.tensors(), twin.critic.tensors())
    assert sorted(changed) == ["params.b0", "params.b1", "params.w0", "params.w1"]


def test_a_mask_on_the_gradient_is_undone_by_adam():
    """The trap: the first step of Adam is its learning rate times the sign, whatever the gradient was multiplied by."""

    def first_step(mask_kind):
        method = NBSP(mask=mask_kind, actor=False)
        agent, replay = tiny.make(method)
        before = {k: p.clone() for k, p in agent.critic.params.items()}
        free = free_steps(agent, replay, (0,), "critic")
        for i in range(2):
            method.state[f"critic.union{i}"].fill_(0.05)
        one_update(agent, method, replay, (0,))
        distance = lambda k: (agent.critic.params[k] - before[k]).abs().sum()
        return torch.stack([distance(k) / free[k].abs().sum() for k in ("w0", "b0", "w1", "b1")])

    torch.testing.assert_close(first_step("step"), torch.full((4,), 0.05), rtol=1e-3, atol=0)
    assert (first_step("gradient") > 0.99).all() and (first_step("gradient") < 1.001).all()


def by_ends(method, net, ends, output):
    """What is kept of every parameter, from the union, entry by entry; NaN-free and as large as the parameter."""
    units = [method.state[f"{net.name}.union{i}"] for i in range(net.depth - 1)]
    kept = {k: torch.ones_like(p) for k, p in net.params.items()}
    for k, share in kept.items():
        kind, i = k[0], int(k[1:])
        for p, c, row, column in torch.cartesian_prod(*map(torch.arange, share.shape)).tolist():
            masks = []
            if ends != "outgoing" and i < len(units):
                masks.append(units[i][p, c, 0, column])
            if ends != "incoming" and i > 0 and kind == "w":
                masks.append(units[i - 1][p, c, 0, row])
            if output is not None and i == len(units):
                masks.append(torch.tensor(output))
            if masks:
                share[p, c, row, column] = min(masks)
    return kept


@pytest.mark.parametrize("ends", ["incoming", "outgoing", "both"])
@pytest.mark.parametrize("output", [None, 0.15])
def test_each_end_of_a_neuron_and_the_output_layer_are_held_by_hand(ends, output):
    agent, method, _, replay, seeds = trained_pair(ends=ends, output="free" if output is None else "held", actor=False)
    if output is not None:
        assert (method.state["output"] == 1).all()
        method.state["output"].fill_(output)
    net = agent.critic
    steps, before = free_steps(agent, replay, seeds, "critic"), {k: p.clone() for k, p in net.params.items()}
    one_update(agent, method, replay, seeds)
    for k, share in by_ends(method, net, ends, output).items():
        assert torch.equal(net.params[k], before[k] + steps[k] * share), k


def test_of_a_convolution_both_ends_of_a_filter_are_held():
    """Its column, and as many rows of the next layer as it has weights there: 4·4 of a filter, H·W of the layer behind."""
    net = conv.cnn("critic", 2, [(4, 36, 36), 6, 1], tiny.generators((0,), 1))
    units = [torch.ones_like(net.params[f"b{i}"]) for i in range(net.depth - 1)]
    units[0][0, 1, 0, 5], units[2][0, 0, 0, 63] = 0.0, 0.5
    kept = neurons.held_shares(units, net.params, "both")
    zero = (kept["w1"].expand_as(net.params["w1"]) == 0).nonzero()
    assert set(map(tuple, zero[:, :3].tolist())) == {(0, 1, 5 * 16 + n) for n in range(16)} and len(zero) == 16 * 64
    (H, W), last = conv.map_sizes((4, 36, 36))[-1], kept["w3"].expand_as(net.params["w3"])
    assert (last[0, 0, 63 * H * W :] == 0.5).all() and (last[0, 0, : 63 * H * W] == 1).all() and (last[0, 1] == 1).all()
    assert (
        kept["b0"][0, 1, 0, 5] == 0
        and (kept["w0"].expand_as(net.params["w0"])[0, 1, :, 5] == 0).all()
        and "b4" not in kept
    )


def test_the_first_moment_alone_sees_the_mask():
    """v is that of the free gradient, m that of the masked one, and the step is Adam's from these two."""
    agent, method, twin, replay, seeds = trained_pair(mask="first-moment", actor=False)
    moments = {k: m.clone() for k, m in agent.critic.m.items()}
    one_update(agent, method, replay, seeds)
    one_update(twin, Method(), replay, seeds)
    ((clock, _),) = agent.critic.clocks
    for k, mask in masks_of(method, agent.critic).items():
        grad = (twin.critic.m[k] - 0.9 * moments[k]) / 0.1
        torch.testing.assert_close(agent.critic.m[k], 0.9 * moments[k] + 0.1 * mask * grad, rtol=1e-4, atol=1e-8)
        torch.testing.assert_close(agent.critic.v[k], twin.critic.v[k], rtol=1e-5, atol=1e-14)
    assert tiny.differing(agent.critic.m, twin.critic.m) == ["w0", "b0", "w1", "b1"]
    before = {k: p.clone() for k, p in agent.critic.params.items()}
    one_update(agent, method, replay, seeds)
    for k, p in agent.critic.params.items():
        m, v = agent.critic.m[k] / (1 - 0.9**clock), agent.critic.v[k] / (1 - 0.999**clock)
        torch.testing.assert_close(p, before[k] - tiny.SETTINGS.critic_lr * m / (v.sqrt() + 1e-8), rtol=1e-4, atol=1e-7)


def test_pooled_ranks_actor_and_critics_together():
    """share 0.4 of 15 neurons: the six best anywhere; the actor's are worse than all but two of the critics'."""

    def context():
        good, weak = torch.tensor([[FIRST[0]], [SECOND[0]]], dtype=torch.float32)  # [1, T, 5] each
        layers = lambda *networks: [torch.stack([n.split((2, 3), -1)[i] for n in networks], 1) for i in range(2)]
        silent = torch.zeros_like(good)
        return tiny.StubContext(
            (0,), {"actor": layers(silent), "critic": layers(good, weak)}, torch.tensor([GOOD]).float()
        )

    counts = {}
    for pooled in (False, True):
        method = NBSP(share=0.4, pooled=pooled)
        agent, _ = tiny.make(method, layers=(2, 3))
        counts[pooled] = [row["chosen"] for row in method.after_task(agent, 0, context())]
        assert union(method, "critic", c=0)[[0, 2]].tolist() == pytest.approx([0.0, 0.05])
        assert union(method, "critic", c=1)[[2, 3]].tolist() == [0.0, 0.0]
    assert counts == {False: [2, 2, 2], True: [2, 2, 2]}  # ties at 0.5 go to the actor, which stands first
    method = NBSP(share=4 / 15, pooled=True)
    agent, _ = tiny.make(method, layers=(2, 3))
    assert [row["chosen"] for row in method.after_task(agent, 0, context())] == [0, 2, 2]


FROZEN = {
    "hidden": {"share": 1.0, "alpha": 0.0},
    "both": {"share": 1.0, "alpha": 0.0, "ends": "both"},
    "output": {"share": 0.0, "alpha": 0.0, "output": "held"},
}


def past_a_task_end(method, seeds):
    """The agent ten updates after a task end, and {network: its parameters at that end}."""
    agent, replay = tiny.make(method, seeds)
    tiny.learn(agent, replay, method, seeds, 5)
    method.after_task(agent, 0, tiny.random_world(agent, seeds))
    before = {net.name: {k: p.clone() for k, p in net.params.items()} for net in agent.networks}
    tiny.learn(agent, replay, method, seeds, 10, purpose=4)
    return agent, before


@pytest.mark.parametrize(
    "what, still",
    [("hidden", ["b0", "b1", "w0", "w1"]), ("both", ["b0", "b1", "w0", "w1", "w2"]), ("output", ["b2", "w2"])],
)
def test_what_is_frozen_stands_still_and_the_rest_moves(what, still):
    method, seeds = NBSP(**FROZEN[what]), (0, 1)
    agent, before = past_a_task_end(method, seeds)
    for net in agent.networks:
        assert sorted(k for k, p in net.params.items() if torch.equal(p, before[net.name][k])) == still


UNTOUCHED = [
    {"mask": "first-moment", "ends": "both"},
    {"output": "held", "alpha": 0.0},
    {"ends": "outgoing"},
    {},
    {"mask": "gradient"},
    {"share": 0.0, "replay_every": 0},
    {"alpha": 0.0},
]


@pytest.mark.parametrize("settings", UNTOUCHED, ids=str)
def test_nbsp_is_fine_tuning_bit_for_bit_until_its_first_task_end(settings):
    results = []
    for method in (Method(), NBSP(**settings)):
        agent, replay = tiny.make(method, (0, 1))
        tiny.learn(agent, replay, method, (0, 1), 25)
        results.append(agent.tensors())
    assert not tiny.differing(*results)


def test_both_neutral_values_are_fine_tuning_for_ever():
    """And share 0 alone leaves masks of ones: what is left of the method is its replay."""
    results = []
    for method in (Method(), NBSP(share=0.0, replay_every=0), NBSP(share=0.0, replay_every=5)):
        agent, replay = tiny.make(method, (0, 1))
        for task in (0, 1):
            tiny.learn(agent, replay, method, (0, 1), 12, purpose=task)
            method.after_task(agent, task, tiny.random_world(agent, (0, 1)))
        tiny.learn(agent, replay, method, (0, 1), 12)
        results.append(agent.tensors())
        assert all((t == 1).all() for k, t in method.state.items() if k != "period")
    assert not tiny.differing(results[0], results[1]) and tiny.differing(results[0], results[2])


def test_alpha_zero_freezes_the_chosen_neurons():
    method, seeds = NBSP(alpha=0.0, replay_every=2), (0, 1)
    agent, before = past_a_task_end(method, seeds)
    for net in agent.networks:
        for k, mask in masks_of(method, net).items():
            still = net.params[k] == before[net.name][k]
            frozen = (mask == 0).expand_as(still)
            assert still[frozen].all() and not still[~frozen].all()
        zeros = sum(int((method.state[f"{net.name}.union{i}"] == 0).sum()) for i in range(2))
        assert zeros == 2 * 2 * net.params["b0"].shape[1]  # floor(0.2 · 14) of each network and seed


class SpiedReplay:
    """A replay that writes down the rows of every batch."""

    def __init__(self, replay):
        self.replay, self.rows = replay, []

    def gather(self, rows):
        self.rows.append(rows.clone())
        return self.replay.gather(rows)


def test_every_kth_update_learns_from_stored_rows_and_from_nothing_else():
    """k counts updates over all positions, as agent.updates does; before the first task end there is no replay."""
    method, seeds = NBSP(replay_every=4, share=0.0, actor=False, critic=False), (0, 1)
    agent, replay = tiny.make(method, seeds)
    spied = SpiedReplay(replay)
    tiny.learn(agent, spied.replay, method, seeds, 6)
    for purpose in (4, 5):
        for u, (recent, stored, noise) in enumerate(zip(*tiny.draws(replay, seeds, 10, purpose=purpose))):
            sac.update_from_rows(agent, spied, recent, stored, {"sac": noise}, method, tiny.SETTINGS)
            number = int(agent.updates[0])
            replayed = purpose == 5 and number % 4 == 0
            assert torch.equal(spied.rows[-1], stored if replayed else recent)
            assert (spied.rows[-1] >= replay.capacity).all() == replayed
            assert len(spied.rows) == (purpose - 4) * 10 + u + 1  # one batch an update
        method.after_task(agent, 0, tiny.random_world(agent, seeds))
    assert int(agent.updates[0]) == 26


def by_hand(goal_rows, active):
    """A world of 4 moments for layers (2, 3): which of the 5 neurons fire when, the same in all networks."""
    activity = torch.tensor(active, dtype=torch.float32)  # [P, T, 5]
    layers = lambda C: [part[:, None].expand(-1, C, -1, -1) for part in activity.split((2, 3), -1)]
    goal = torch.tensor(goal_rows, dtype=torch.float32)
    return tiny.StubContext(range(len(goal)), {"actor": layers(1), "critic": layers(2)}, goal)


GOOD, HALF, QUARTER = [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0]  # agree with GOOD at 4, 2, 3 moments
FIRST = [[list(t) for t in zip(GOOD, HALF, QUARTER, HALF, HALF)]]  # scores 1, 0.5, 0.75, 0.5, 0.5
SECOND = [[list(t) for t in zip(HALF, HALF, GOOD, GOOD, HALF)]]  # scores 0.5, 0.5, 1, 1, 0.5
THIRD = [[list(t) for t in zip(HALF, QUARTER, HALF, HALF, QUARTER)]]  # scores 0.5, 0.75, 0.5, 0.5, 0.75


def union(method, name, p=0, c=0):
    return torch.cat([method.state[f"{name}.union{i}"][p, c, 0] for i in range(2)])


def test_the_union_takes_the_smallest_and_a_revisit_replaces_its_own_task():
    """share 0.4 of 5 neurons: the two best of each network, over both layers together, with α = 0.2."""
    method = NBSP(share=0.4)
    agent, _ = tiny.make(method, layers=(2, 3))
    check = lambda want: [
        torch.testing.assert_close(union(method, name, c=c), torch.tensor(want))
        for name, c in (("actor", 0), ("critic", 0), ("critic", 1))
    ]
    check([1.0, 1, 1, 1, 1])
    rows = method.after_task(agent, 0, by_hand([GOOD], FIRST))
    check([0.0, 1, 0.05, 1, 1])
    assert [(r["network"], r["neurons"], r["chosen"], r["status"]) for r in rows] == [
        (n, 5, 2, "scored") for n in ("actor", "critic0", "critic1")
    ]
    row = rows[0]
    want = {
        "seed": 0,
        "goal_mean": 0.5,
        "base_rate": 0.5,
        "silent": 0,
        "chosen_not_above_base": 0,
        "chosen_score": 0.875,
    }
    assert row.items() >= want.items() and (row["all_score"], row["masked"]) == pytest.approx((0.65, 0.4))
    method.after_task(agent, 1, by_hand([GOOD], SECOND))
    check([0.0, 1, 0.0, 0.0, 1])  # neuron 2: the smaller of 0.05 and 0
    method.after_task(agent, 0, by_hand([GOOD], THIRD))
    check([1.0, 0.05, 0.0, 0.0, 0.05])  # neuron 0 was held for task 0 only


def test_a_seed_with_a_constant_goal_keeps_its_masks_while_others_are_renewed():
    method, seeds = NBSP(share=0.4), (0, 1)
    agent, _ = tiny.make(method, seeds, layers=(2, 3))
    method.after_task(agent, 0, by_hand([GOOD, GOOD], FIRST * 2))
    before = {k: t.clone() for k, t in method.state.items()}
    rows = method.after_task(agent, 1, by_hand([[0, 0, 0, 0], GOOD], SECOND * 2))
    for k, t in method.state.items():
        assert torch.equal(t[0], before[k][0])
    assert union(method, "actor", p=1).tolist() == [0.0, 1, 0.0, 0.0, 1]
    assert [(r["seed"], r["status"]) for r in rows] == [(0, "unscored"), (1, "scored")] * 3
    unscored = rows[0]
    assert not {"base_rate", "chosen", "chosen_score", "all_score"} & unscored.keys()
    assert unscored["masked"] == pytest.approx(0.4) and rows[1]["masked"] == pytest.approx(0.6)
    # nobody can be scored: nothing changes, everybody is reported, and the replay starts all the same
    fresh = NBSP(share=0.4)
    agent, _ = tiny.make(fresh, seeds, layers=(2, 3))
    rows = fresh.after_task(agent, 0, by_hand([[1, 1, 1, 1], [0, 0, 0, 0]], FIRST * 2))
    assert {r["status"] for r in rows} == {"unscored"} and fresh.state["period"].flatten().tolist() == [10, 10]
    assert all((t == 1).all() for k, t in fresh.state.items() if k != "period")


def test_masks_are_those_of_the_pure_functions_on_each_network():
    method, seeds = NBSP(share=0.3, score="balanced"), (0, 1, 2)
    agent, _ = tiny.make(method, seeds)
    context = tiny.random_world(agent, seeds)
    rows = method.after_task(agent, 1, context)
    for net in agent.networks:
        for c in range(net.params["b0"].shape[1]):
            activity = torch.cat([h[:, c] for h in context.hidden[net.name]], -1)  # [P, T, 14]
            scores = neurons.skill_scores(activity, context.goal, "balanced")
            want = neurons.neuron_mask(scores, neurons.top_neurons(scores, 0.3), 0.2)
            state = lambda kind, net=net: [method.state[f"{net.name}.{kind}{i}"] for i in range(2)]
            assert torch.equal(torch.cat([t[:, c, 0] for t in state("union")], -1), want)
            assert torch.equal(torch.cat([t[:, 1, c, 0] for t in state("masks")], -1), want)
            assert all((t[:, 0] == 1).all() for t in state("masks"))
    assert [r["chosen"] for r in rows] == [4] * 9
    assert all(r["silent"] == pytest.approx(5 / 14) for r in rows)


#                     layer 1: two neurons, layer 2: three; Eq. 4 says 1, 0.5, 0.75, 0.5, 0.5
SIZES = torch.tensor([4.0, 6.0, 1.0, 3.0, 2.0])  # means over the half that fires, or three quarters of them
#   mean |h|:         2    3    0.75 1.5  1         over the layer's mean: 0.8 1.2  0.69 1.38 0.92


class SelectorContext(tiny.StubContext):
    """FIRST with neurons of different sizes; chance and derivatives as they are told."""

    def __init__(self, asked):
        plain = by_hand([GOOD], FIRST)
        sized = {
            name: [h * size for h, size in zip(layers, SIZES.split((2, 3)))] for name, layers in plain.hidden.items()
        }
        super().__init__(plain.seeds, sized, plain.goal)
        self.asked = asked

    def draw(self, kind, C, W):
        assert kind is torch.rand
        if (C, W) == (selection.DRAWS, 4):  # for the null, in whose place nothing is exchanged
            return torch.arange(4.0).expand(1, C, W) / 4
        self.asked.append((C, W))
        return {2: torch.tensor([0.3, 0.1]), 3: torch.tensor([0.2, 0.9, 0.05])}[W].expand(1, C, W)

    def blame(self, n):
        """Importance by hand: 1, 2 over sqrt(5 / 2) and 1, 1, 3 over sqrt(11 / 3)."""
        self.asked.append(n)
        size = [torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0, 3.0])]
        layers = lambda C, sign: [sign * s.sqrt().expand(1, C, n, -1) for s in size]
        return {"actor": layers(1, 1), "critic": layers(2, 1)}, {"actor": layers(1, -1), "critic": layers(2, -1)}


PICKS = {
    "paper": (0, 2),
    "random": (0, 3),
    "activation": (0, 1),
    "weight": (2, 4),
    "importance": (1, 4),
    "dormant": (1, 3),
}
#         with mask α (1 − score) of the paper's score, whoever chose
HOLDS = torch.tensor([0.0, 0.1, 0.05, 0.1, 0.1])


@pytest.mark.parametrize("score", PICKS)
def test_each_way_to_choose_by_hand(score):
    """Other neurons, held as strongly as the paper's score says; scores.csv describes those that were chosen."""
    asked, method = [], NBSP(share=0.4, score=score)
    agent, _ = tiny.make(method, layers=(2, 3))
    for net in agent.networks:  # norms 2, 1 and 3, sqrt 2, 5
        for k, values in {"w0": [0.0, 0.0], "b0": [-2.0, 1.0], "w1": [0.0, 1.0, 0.0], "b1": [3.0, 0.0, -5.0]}.items():
            net.params[k].copy_(torch.tensor(values))
    rows = method.after_task(agent, 0, SelectorContext(asked))
    chosen = list(PICKS[score])
    want = torch.ones(5).index_copy(0, torch.tensor(chosen), HOLDS[chosen])
    for name, c in (("actor", 0), ("critic", 0), ("critic", 1)):
        torch.testing.assert_close(union(method, name, c=c), want)
    assert asked == {"random": [(1, 2), (1, 3), (2, 2), (2, 3)], "importance": [1024]}.get(score, [])
    scores = torch.tensor([1.0, 0.5, 0.75, 0.5, 0.5])
    for row in rows:
        assert row["chosen"] == 2 and row["chosen_score"] == pytest.approx(scores[chosen].mean().item())
        assert row["all_score"] == pytest.approx(0.65) and row["masked"] == pytest.approx(0.4)


@pytest.mark.parametrize("score", [name for name in PICKS if name != "paper"])
def test_seeds_choose_alone_and_unscored_ones_keep_their_masks(score):
    """Of random activations, derivatives and numbers."""

    def ended(seeds, constant=()):
        method = NBSP(score=score, share=0.3)
        agent, _ = tiny.make(method, seeds)
        context = tiny.random_world(agent, seeds)
        for p in constant:
            context.goal[p] = 1.0
        rows = method.after_task(agent, 0, context)
        return method.state, rows

    together, rows = ended((0, 1, 2))
    assert [row["chosen"] for row in rows] == [4] * 9
    masked = [torch.cat([together[f"critic.union{i}"][p, :, 0] for i in range(2)], -1) < 1 for p in range(3)]
    assert all((m.sum(1) == 4).all() for m in masked) and not torch.equal(masked[0], masked[1])
    for p in range(3):
        alone, mine = ended((p,))
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, alone)
        assert mine == [row for row in rows if row["seed"] == p]
    some, rows = ended((0, 1, 2), constant=(1,))
    assert [row["status"] for row in rows] == ["scored", "unscored", "scored"] * 3
    for k, t in some.items():
        if k != "period":
            assert (t[1] == 1).all() and torch.equal(t[::2], together[k][::2])
