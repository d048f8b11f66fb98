"""NPC: importances and rates by hand, what a task end keeps, which steps are held back and how far."""

import math

import pytest
import tiny
import torch
from torch.testing import assert_close as close

from nbsp_lib.core import sac
from nbsp_lib.core.method import Method
from nbsp_lib.methods.npc import NPC, importance, rate


def one_update(agent, method, replay, seeds, purpose=4):
    (recent,), (stored,), (noise,) = tiny.draws(replay, seeds, 1, purpose=purpose)
    sac.update_from_rows(agent, replay, recent, stored, {"sac": noise}, method, tiny.SETTINGS)


def test_importance_by_hand():
    """Two rows, two neurons: means 3 and 4 over a root mean square of sqrt(12.5); the scale of the blame does not matter."""
    hidden = torch.tensor([[2.0, 4.0], [1.0, 0.0]])[None, None]  # [1, 1, 2, 2]
    blame = torch.tensor([[-2.0, 2.0], [2.0, 9.0]])[None, None]
    want = torch.tensor([[[3.0, 4.0]]]) / math.sqrt(12.5)
    for scale in (1.0, -1.0, 1e-28, 1e20):
        close(importance(hidden, scale * blame), want)
    assert torch.equal(importance(hidden, torch.zeros_like(blame)), torch.zeros(1, 1, 2))


def test_importance_has_mean_square_one_in_every_network_of_every_seed():
    g = torch.Generator().manual_seed(0)
    hidden, blame = (torch.randn(3, 2, 9, 6, generator=g) for _ in range(2))
    found = importance(hidden, blame * torch.tensor([1.0, 10.0, 1e-5])[:, None, None, None])
    close(found.pow(2).mean(-1), torch.ones(3, 2))
    close(
        found,
        torch.stack(
            [
                torch.stack(
                    [importance(hidden[p : p + 1, c : c + 1], blame[p : p + 1, c : c + 1])[0, 0] for c in range(2)]
                )
                for p in range(3)
            ]
        ),
    )


def test_rate_by_hand():
    want = [1.0] + [math.sqrt(math.tanh(x) / x) for x in (1e-6, 0.5, 2.0, 100.0)]
    found = rate(torch.tensor([0.0, 1e-8, 0.005, 0.02, 1.0]), 100.0)
    close(found, torch.tensor(want))
    assert found[0] == 1 and found[-1] == pytest.approx(0.1)
    assert (rate(torch.rand(9), 0.0) == 1).all() and (rate(torch.tensor([0.0, 1e-38]), 1.0) == 1).all()
    assert (rate(torch.linspace(0, 5, 99), 10.0).diff() < 0).all()


class Recorder(NPC):
    """An NPC that writes down the importance of every update, by an independent formula from autograd's own blame."""

    def after_update(self, agent, batch, noise, hidden, blame):
        super().after_update(agent, batch, noise, hidden, blame)
        self.seen = getattr(self, "seen", [])
        raw = {
            f"{name}{i}": (h * b).abs().mean(2, keepdim=True)
            for name in hidden
            for i, (h, b) in enumerate(zip(hidden[name], blame[name]))
        }
        self.seen.append({k: c / (c**2).mean(-1, keepdim=True).sqrt() for k, c in raw.items()})


def mean_by_hand(seen, key, delta):
    """Σ δ^(n−t) Ĉ_t / Σ δ^(n−t): the exponential mean that forgets where it started."""
    weights = [delta ** (len(seen) - 1 - t) for t in range(len(seen))]
    return sum(w * one[key] for w, one in zip(weights, seen)) / sum(weights)


def test_the_running_mean_and_what_a_task_end_keeps_of_it():
    method, seeds = Recorder(delta=0.8), (0, 1)
    agent, replay = tiny.make(method, seeds)
    tiny.learn(agent, replay, method, seeds, 4)
    ema = {k: torch.zeros_like(c) for k, c in method.seen[0].items()}
    for one in method.seen:
        ema = {k: 0.8 * c + 0.2 * one[k] for k, c in ema.items()}
    for k, c in ema.items():
        name, i = k[:-1], k[-1]
        close(method.state[f"{name}.running{i}"], c)
    method.after_task(agent, 0, None)
    first = {k: mean_by_hand(method.seen, k, 0.8) for k in ema}
    state = lambda kind: {k: method.state[f"{k[:-1]}.{kind}{k[-1]}"].clone() for k in ema}
    close(state("importance"), first)
    assert all((t == 0).all() for t in state("running").values()) and (method.state["count"] == 0).all()
    method.seen.clear()
    tiny.learn(agent, replay, method, seeds, 3, purpose=4)
    close(state("importance"), first)  # unchanged while the next task is learned
    method.after_task(agent, 1, None)
    second = {k: mean_by_hand(method.seen, k, 0.8) for k in ema}
    close(state("importance"), {k: torch.maximum(first[k], second[k]) for k in ema})
    assert any((second[k] > first[k]).any() for k in ema) and any((second[k] < first[k]).any() for k in ema)


def test_the_recorded_blame_is_the_slope_of_the_loss():
    """In float64, by finite differences through a scaling of one neuron's outgoing weights: dL/d(gain) = Σ_b h ∂L/∂h."""
    agent, replay = tiny.make(Method())
    (recent,), _, (noise,) = tiny.draws(replay, (0,), 1)
    batch = {k: v.double() for k, v in replay.gather(recent).items()}
    for net in (agent.actor, agent.critic, agent.temperature):
        net.params = {k: p.double() for k, p in net.params.items()}
    loss = agent.head.actor_loss(agent, batch, noise[1].double(), Method())
    _, blame, (_, hidden) = sac.gradients(
        agent.actor, loss, [p.double() for p in sac.make_probes(agent, tiny.BATCH)["actor"]]
    )
    for j in range(3):
        ends = []
        for gain in (1 + 1e-6, 1 - 1e-6):
            params = {k: p.clone() for k, p in agent.actor.params.items()}
            params["w1"][:, :, j] *= gain
            ends.append(float(loss(params, None)[0]))
        assert (hidden[0] * blame[0])[..., j].sum().item() == pytest.approx(
            (ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-9
        )


def test_a_neuron_moves_by_its_rate_times_its_free_step():
    """Incoming weights and bias; the output layer and Adam's moments are as free as without NPC."""
    method, seeds = NPC(strength=10.0), (0, 1)
    agent, replay = tiny.make(method, seeds)
    g = torch.Generator().manual_seed(3)
    for name in ("actor.importance0", "actor.importance1"):
        method.state[name].copy_(torch.rand(method.state[name].shape, generator=g).sub(0.3).relu())
    before = {k: p.clone() for k, p in agent.actor.params.items()}
    twin, _ = tiny.copied(agent, None)
    one_update(agent, method, replay, seeds)
    one_update(twin, Method(), replay, seeds)
    for k, p in agent.actor.params.items():
        kept = rate(method.state[f"actor.importance{k[1]}"], 10.0) if k[1] < "2" else torch.ones(1)
        free = twin.actor.params[k] - before[k]
        close(p - before[k], free * kept, rtol=1e-3, atol=1e-7)
        same = p == twin.actor.params[k]
        assert same[(kept == 1).expand_as(same)].all()
    assert not [k for k in tiny.differing(agent.tensors(), twin.tensors()) if not k.startswith("actor.params")]


def test_without_importance_or_strength_it_is_fine_tuning():
    results, seeds = [], (0, 1)
    for method, ends in ((Method(), 0), (NPC(), 0), (NPC(strength=0.0), 1), (NPC(), 1)):
        agent, replay = tiny.make(method, seeds)
        tiny.learn(agent, replay, method, seeds, 10)
        for _ in range(ends):
            method.after_task(agent, 0, None)
        tiny.learn(agent, replay, method, seeds, 10, purpose=4)
        results.append(agent.tensors())
    assert not tiny.differing(results[0], results[1]) and not tiny.differing(results[0], results[2])
    assert tiny.differing(results[0], results[3])
    assert not NPC.forkable


def test_a_seed_is_the_same_alone_and_among_others_and_no_tensor_moves():
    results = []
    for seeds in ((1,), (0, 1, 2)):
        method = NPC()
        agent, replay = tiny.make(method, seeds, layers=(64, 48))
        addresses = [t.data_ptr() for t in method.state.values()]
        for purpose in (3, 4):
            tiny.learn(agent, replay, method, seeds, 3, purpose=purpose)
            method.after_task(agent, 0, None)
        assert addresses == [t.data_ptr() for t in method.state.values()]
        results.append({k: t[seeds.index(1)] for k, t in tiny.everything(agent, method).items()})
    assert not tiny.differing(*results)


@pytest.mark.parametrize("settings", [{"strength": -1.0}, {"delta": 1.0}, {"delta": -0.1}], ids=str)
def test_nonsense_is_refused(settings):
    with pytest.raises(ValueError):
        NPC(**settings)
