"""The discrete learner against SAC written plainly, populations of one, its compiled self, and a chi-square of its actions."""

import copy
from types import SimpleNamespace

import pytest
import test_conv
import tiny
import torch
from plain_sac import mlp, put, take
from plain_sac_discrete import PlainDiscreteSAC
from torch.testing import assert_close as close

from nbsp_lib.core import categorical as discrete
from nbsp_lib.core import gaussian, sac
from nbsp_lib.core.frame_replay import Frames
from nbsp_lib.core.method import Method
from nbsp_lib.core.replay import Replay
from nbsp_lib.methods.nbsp import NBSP

OBS, A, LAYERS, E = 5, 4, (8, 6), 2
IMAGE = (4, 36, 36)


def made(method, seeds=(0, 1), obs=OBS, layers=LAYERS, share=0.6):
    settings = SimpleNamespace(**vars(tiny.SETTINGS) | {"layers": layers})
    gens = tiny.generators(seeds, 1)
    return sac.make_agent(method, gens, obs, discrete.Categorical(A, share), tiny.TASKS, settings)


def numbers(seeds, steps=60):
    """A replay of random vectors, actions and rewards, a sixth of them terminations, with a stored part of every task."""
    replay = Replay(len(seeds), steps, 2, tiny.PART, OBS, 1)
    replay.data.copy_(torch.stack([torch.randn(replay.data.shape[1:], generator=g) for g in tiny.generators(seeds, 2)]))
    replay.data[..., replay.columns["action"]] = (
        (replay.data[..., replay.columns["action"]].abs() * 2).floor().clamp(max=A - 1)
    )
    replay.data[..., replay.columns["done"]] = (torch.arange(replay.data.shape[1]) % 6 == 0).float()[:, None]
    replay.seen, replay.tasks, replay.counts[:] = steps, [0, 1], tiny.PART
    return replay


def pictures(seeds, steps=30):
    """A ring of random frames and games of five steps, half of them cut, with a stored part of every task."""
    ring, gens = Frames(len(seeds), steps, 2, tiny.PART, E, side=IMAGE[1:]), tiny.generators(seeds, 2)
    draw = lambda high, *shape: torch.stack([torch.randint(high, shape, generator=g) for g in gens])
    frame = draw(256, E, *IMAGE[1:]).byte()
    for n in range(steps // E):
        ring.see(frame, torch.full((len(seeds), E), n % 5 == 0))
        last, over = draw(256, E, *IMAGE[1:]).byte(), float(n % 5 == 4)
        done = torch.tensor([over, 0.0]).expand(len(seeds), -1)
        ring.add(draw(A, E, 1).float(), draw(9, E).float(), last, done, over - done)
        frame = draw(256, E, *IMAGE[1:]).byte() if over else last
    for task in range(2):
        ring.store(task, gens)
    return ring


KINDS = {"numbers": (numbers, OBS, LAYERS), "pictures": (pictures, IMAGE, (8,))}
KIND = pytest.mark.parametrize("kind", KINDS)


def learn(agent, replay, method, seeds, updates, purpose=3, update=sac.update_from_rows, batch=tiny.BATCH):
    recent, stored, _ = tiny.draws(replay, seeds, updates, batch, purpose)
    for rows in zip(recent, stored):
        update(agent, replay, *rows, {}, method, tiny.SETTINGS)


def modules(agent, p, kind):
    """Actor and critics of seed p as torch.nn modules."""
    if kind == "pictures":
        return [
            test_conv.plain(net.params, p, c, IMAGE)
            for net, c in ((agent.actor, 0), (agent.critic, 0), (agent.critic, 1))
        ]
    nets = [mlp((OBS, *LAYERS, A)) for _ in range(3)]
    for net, (params, c) in zip(nets, ((agent.actor.params, 0), (agent.critic.params, 0), (agent.critic.params, 1))):
        put(net, {k: t[p, c] for k, t in params.items()})
    return nets


def flat(net):
    """Weights and biases in the library's layout, [in, out] and [1, out]."""
    return [t.detach().flatten(1).T if t.dim() > 1 else t.detach()[None] for t in net.parameters()]


@pytest.mark.parametrize(
    "kind, dtype, tolerance",
    [  # in fp32 Adam makes whole steps of the last bits of small gradients
        ("numbers", torch.float64, 1e-10),
        ("numbers", torch.float32, 2e-4),
        ("pictures", torch.float64, 1e-10),
    ],
)
def test_update_is_discrete_sac_written_plainly(kind, dtype, tolerance):
    """Ten updates of a population of two against two PlainDiscreteSACs, from the same batches."""
    fill, obs, layers = KINDS[kind]
    before, seeds, s = torch.get_default_dtype(), (0, 1), tiny.SETTINGS
    torch.set_default_dtype(dtype)
    try:
        agent, replay = made(Method(), seeds, obs, layers), fill(seeds)
        rates = s.actor_lr, s.critic_lr, s.alpha_lr, s.gamma, s.tau
        plain = [PlainDiscreteSAC(*modules(agent, p, kind), *rates, 0.6) for p in seeds]
        start = copy.deepcopy(agent)
        for recent, stored in zip(*tiny.draws(replay, seeds, 10)[:2]):
            sac.update_from_rows(agent, replay, recent, stored, {}, Method(), s)
            batch = replay.gather(recent)
            scale = 255 if kind == "pictures" else 1
            for p, one in enumerate(plain):
                b = {k: t[p] for k, t in batch.items()}
                one.update(
                    b["obs"].to(dtype) / scale,
                    b["next_obs"].to(dtype) / scale,
                    b["action"][:, 0].long(),
                    b["reward"][:, 0].to(dtype),
                    b["done"][:, 0].to(dtype),
                )
    finally:
        torch.set_default_dtype(before)
    near = lambda a, b: close(a, b, rtol=tolerance, atol=tolerance / 10)
    for p, one in enumerate(plain):
        critic, target = agent.critic.params, agent.target
        for params, c, want in (
            (agent.actor.params, 0, one.actor),
            (critic, 0, one.q1),
            (critic, 1, one.q2),
            (target, 0, one.target1),
            (target, 1, one.target2),
        ):
            near([t[p, c] for t in params.values()], flat(want))
        near(agent.temperature.params["log_alpha"][p].flatten(), one.log_alpha.detach())
    assert abs(plain[0].log_alpha.item()) > 1e-3
    assert all((p - start.critic.params[k]).abs().max() > 1e-3 for k, p in agent.critic.params.items())


@KIND
def test_population_of_three_is_three_populations_of_one(kind):
    """Bit for bit in all tensors after updates of which the last half is masked and replays."""
    fill, obs, layers = KINDS[kind]

    def trained(seeds):
        method = NBSP(replay_every=4)
        agent, replay = made(method, seeds, obs, layers), fill(seeds)
        learn(agent, replay, method, seeds, 8)
        method.after_task(agent, 0, tiny.random_world(agent, seeds))
        learn(agent, replay, method, seeds, 8, purpose=4)
        return tiny.everything(agent, method)

    together = trained((0, 1, 2))
    assert together["critic.union0"].min() < 1 and together["updates"].tolist() == [[16]] * 3
    for p in range(3):
        assert not tiny.differing({k: t[p : p + 1] for k, t in together.items()}, trained((p,)))


@KIND
def test_one_full_graph_serves_every_task(kind):
    fill, obs, layers = KINDS[kind]

    def make(seeds):
        method = NBSP(replay_every=3)
        return method, made(method, seeds, obs, layers), fill(seeds)

    tiny.assert_one_full_graph(make, learn, 4, rtol=1e-4, atol=1e-5)


def policy_of(logits):
    """A method whose actor answers these logits [P, B, A], whatever it is shown."""

    class Fixed(Method):
        def forward(self, net, params, x, probe=None):
            return logits[:, None], []

    return Fixed()


def test_actions_are_drawn_from_the_policy_and_each_from_its_own_noise():
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0], [3.0, -2.0, 0.0, 0.0]])
    n = 20_000
    method = policy_of(logits[:, None].expand(-1, n, -1))
    noise = torch.randn(2, n, A, generator=torch.Generator().manual_seed(0))
    action, log_p, _ = discrete.Categorical(A).act(method, None, None, torch.zeros(2, n, 1), noise)
    want = logits.softmax(-1)
    for p in range(2):
        counts = action[p, :, 0].bincount(minlength=A)
        assert ((counts - n * want[p]) ** 2 / (n * want[p])).sum() < 16.3  # chi-square, 3 degrees: one in a thousand
    assert action.dtype == torch.int64 and action.shape == log_p.shape == (2, n, 1)
    close(log_p[..., 0], want.log().gather(1, action[..., 0]), rtol=1e-5, atol=1e-5)
    alone = discrete.Categorical(A).act(policy_of(logits[1:, None]), None, None, torch.zeros(1, 1, 1), noise[1:, :1])
    assert alone[0].item() == action[1, 0].item()
    best, none, _ = discrete.Categorical(A).act(method, None, None, torch.zeros(2, n, 1), None)
    assert none is None and (best[0] == 3).all() and (best[1] == 0).all()


def test_a_probability_that_rounds_to_zero_counts_for_nothing():
    """log π stays finite, and value, entropy, losses and gradients are those without that action."""
    agent = made(Method(), (0,))
    last = f"w{agent.actor.depth - 1}", f"b{agent.actor.depth - 1}"
    for k in last:
        agent.actor.params[k].zero_()
    agent.actor.params[last[1]][..., 1:] = torch.tensor([0.0, -200.0, -1e30])
    agent.critic.params[last[1]][..., 2:] = agent.target[last[1]][..., 2:] = 1e6
    batch = numbers((0,)).gather(torch.arange(12)[None])
    log_pi, _ = agent.head.policy(Method(), agent.actor, agent.actor.params, batch["obs"])
    assert torch.isfinite(log_pi).all() and (log_pi.exp()[..., 2:] == 0).all()
    close(log_pi[..., :2].exp(), torch.full((1, 12, 2), 0.5))
    grads, _, (surplus, _) = sac.gradients(agent.actor, agent.head.actor_loss(agent, batch, None, Method()))
    close(surplus, torch.full((1, 1, 1), 2.0).log() - 0.6 * torch.full((1, 1, 1), float(A)).log())
    assert all(torch.isfinite(g).all() for g in grads.values()) and (grads[last[1]][..., 2:] == 0).all()
    q = agent.head.q_values(Method(), agent.critic, agent.critic.params, batch["obs"])[0]
    loss, _ = agent.head.critic_loss(agent, batch, None, Method(), tiny.SETTINGS)(agent.critic.params, ())
    next_q = agent.head.q_values(Method(), agent.critic, agent.target, batch["next_obs"])[0].amin(1)[..., :2].mean(-1)
    y = batch["reward"][..., 0] + 0.99 * (1 - batch["done"][..., 0]) * (next_q + torch.tensor(2.0).log())
    taken = q.gather(-1, batch["action"].long()[:, None].expand(-1, 2, -1, -1))[..., 0]
    close(loss, (taken - y[:, None]).pow(2).mean(2).sum(1), rtol=1e-5, atol=1e-5)
    noise = torch.randn(1, 12, A, generator=torch.Generator().manual_seed(1))
    assert (agent.head.act(Method(), agent.actor, agent.actor.params, batch["obs"], noise)[0] < 2).all()


def test_the_head_says_what_it_needs():
    assert discrete.Categorical(6).target_entropy == 0.89 and discrete.Categorical(6).log_alpha == 0
    assert discrete.Categorical(6).sizes(IMAGE, (512,)) == ([IMAGE, 512, 6], [IMAGE, 512, 6])
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="share of log A"):
            discrete.Categorical(6, wrong)
    names = ("act", "q_values", "critic_loss", "actor_loss", "sizes")
    assert all(
        callable(getattr(head, name)) for head in (gaussian.Gaussian(2), discrete.Categorical(6)) for name in names
    )


def test_modules_of_the_oracle_are_the_networks():
    """What the comparison rests on: the modules answer what the stacked networks answer."""
    agent = made(Method())
    obs = torch.randn(2, 9, OBS)
    q, _ = agent.head.q_values(Method(), agent.critic, agent.critic.params, obs)
    for p in range(2):
        nets = modules(agent, p, "numbers")
        assert take(nets[0])["w0"].shape == (OBS, LAYERS[0])
        for c in (0, 1):
            close(q[p, c], nets[1 + c](obs[p]), rtol=1e-5, atol=1e-6)
