"""The stacked convolutional network against torch.nn, and filters as neurons: activations, scores, masks, probes."""

import math
from types import SimpleNamespace

import pytest
import tiny
import torch
from torch import nn
from torch.testing import assert_close as close

from nbsp_lib.core import conv, neurons, sac
from nbsp_lib.core.categorical import Categorical
from nbsp_lib.core.method import Method
from nbsp_lib.methods.nbsp import NBSP

IMAGE, ACTIONS, DENSE, B = (2, 36, 36), 4, (8,), 6  # the smallest image: maps of 8×8, 3×3, 1×1
SETTINGS = SimpleNamespace(**{**vars(tiny.SETTINGS), "layers": DENSE})


def network(seeds=(0, 1), C=2, image=IMAGE):
    return conv.cnn("critic", C, [image, *DENSE, ACTIONS], tiny.generators(seeds, 1))


def images(seeds, *shape, purpose=2):
    return torch.stack(
        [torch.randint(256, shape, generator=g, dtype=torch.uint8) for g in tiny.generators(seeds, purpose)]
    )


def plain(params, p, c, image=IMAGE):
    """The same network of one seed as torch.nn writes it, and where its hidden activations come out."""
    pieces, n_in, layer = [], image[0], 0
    for filters, kernel, stride in conv.LAYERS:
        module = nn.Conv2d(n_in, filters, kernel, stride)
        module.weight.data.copy_(params[f"w{layer}"][p, c].T.reshape(filters, n_in, kernel, kernel))
        module.bias.data.copy_(params[f"b{layer}"][p, c, 0])
        pieces += [module, nn.ReLU()]
        n_in, layer = filters, layer + 1
    pieces.append(nn.Flatten())
    while f"w{layer}" in params:
        module = nn.Linear(*params[f"w{layer}"].shape[2:])
        module.weight.data.copy_(params[f"w{layer}"][p, c].T)
        module.bias.data.copy_(params[f"b{layer}"][p, c, 0])
        pieces += [module, nn.ReLU()]
        layer += 1
    return nn.Sequential(*pieces[:-1])


@pytest.mark.parametrize("image", [IMAGE, (1, 44, 52)])
@pytest.mark.parametrize("shared", [True, False])
def test_forward_and_backward_are_those_of_torch(image, shared):
    net = network(image=image)
    params = {k: p.requires_grad_() for k, p in net.params.items()}
    x = images((0, 1), 1 if shared else 2, B, *image)
    out, hidden = conv.cnn_forward(net, params, x)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(0))
    grads = dict(zip(params, torch.autograd.grad((out * weight).sum(), list(params.values()))))
    assert out.shape == (2, 2, B, ACTIONS) and [h.dim() for h in hidden] == [6, 6, 6, 4]
    assert [h.shape[4:] for h in hidden[:3]] == list(conv.map_sizes(image))
    for p in range(2):
        for c in range(2):
            model = plain(params, p, c, image)
            y, kept = x[p, 0 if shared else c] / 255, []
            for piece in model:
                y = piece(y)
                if isinstance(piece, nn.ReLU):
                    kept.append(y)
            close(out[p, c], y, rtol=1e-5, atol=1e-6)
            for mine, want in zip(hidden, kept, strict=True):
                close(mine[p, c], want, rtol=1e-5, atol=1e-6)
            (y * weight[p, c]).sum().backward()
            weighty = [module for module in model if isinstance(module, (nn.Conv2d, nn.Linear))]
            for i, module in enumerate(weighty):
                close(grads[f"w{i}"][p, c].T, module.weight.grad.flatten(1), rtol=1e-4, atol=1e-6)
                close(grads[f"b{i}"][p, c, 0], module.bias.grad, rtol=1e-4, atol=1e-6)


def test_it_is_the_network_of_the_paper():
    """Mnih et al. 2015: 84×84 pictures, four of them, one hidden layer of 512; weights as nn.Conv2d draws them."""
    net = conv.cnn("actor", 1, [(4, 84, 84), 512, 18], tiny.generators((0,), 1))
    shapes = {k: tuple(p.shape[2:]) for k, p in net.params.items() if k.startswith("w")}
    assert shapes == {"w0": (256, 32), "w1": (512, 64), "w2": (576, 64), "w3": (3136, 512), "w4": (512, 18)}
    assert conv.map_sizes((4, 84, 84)) == ((20, 20), (9, 9), (7, 7)) and conv.map_sizes((128,)) == ()
    for i, (rows, _) in enumerate(shapes.values()):
        bound = 1 / math.sqrt(rows)
        for t in (net.params[f"w{i}"], net.params[f"b{i}"]):
            assert t.abs().max() <= bound and (t.numel() < 1000 or t.abs().max() > 0.98 * bound)
        close(net.params[f"w{i}"].std(), torch.tensor(bound / math.sqrt(3)), rtol=0.03, atol=0)
    with pytest.raises(ValueError, match="at least 36"):
        conv.map_sizes((4, 36, 35))


def test_population_of_three_is_three_populations_of_one():
    def made(seeds):
        net = network(seeds)
        params = {k: p.requires_grad_() for k, p in net.params.items()}
        out, hidden = conv.cnn_forward(net, params, images(seeds, 1, B, *IMAGE))
        return [out, *hidden, *torch.autograd.grad(out.pow(2).sum(), list(params.values()))]

    together = made((0, 1, 2))
    for p in range(3):
        assert all(torch.equal(a[p], b[0]) for a, b in zip(together, made((p,)), strict=True))


def test_a_probe_is_differentiated_like_the_activation_itself():
    """dL/dh of the last map by the weights behind it: 1×1 there, so the next layer is a matrix product."""
    agent = sac.make_agent(Method(), tiny.generators((0,), 1), IMAGE, Categorical(ACTIONS), ("a",), SETTINGS)
    net, x = agent.critic, images((0,), 1, B, *IMAGE)
    probe = [zeros.requires_grad_() for zeros in sac.make_probes(agent, B, *IMAGE)["critic"]]
    out, hidden = conv.cnn_forward(net, net.params, x, probe)
    assert [z.shape for z in probe] == [h.shape for h in hidden]
    blame = torch.autograd.grad(out.sum(), probe)
    w3, w4 = net.params["w3"], net.params["w4"]
    want = (hidden[3] > 0).float() * w4.sum(-1)[:, :, None]
    close(blame[3], w4.sum(-1)[:, :, None].expand_as(want))
    close(blame[2].flatten(3), want @ w3.mT, rtol=1e-5, atol=1e-6)
    assert blame[0].abs().sum() > 0 and [h.shape[-2:] for h in blame[:3]] == list(conv.map_sizes(IMAGE))


def test_the_activation_of_a_filter_is_its_spatial_mean_and_scores_are_those_of_neurons():
    """Two filters over four moments; the goal is met in the last two. Means by hand: 1 2 3 4 and 3 3 3 1."""
    maps = torch.zeros(1, 1, 4, 2, 2, 2)
    maps[0, 0, :, 0] = torch.tensor([[[0.0, 0], [0, 4]], [[2, 2], [2, 2]], [[0, 12], [0, 0]], [[4, 4], [8, 0]]])
    maps[0, 0, :, 1] = torch.tensor([[[3.0, 3], [3, 3]], [[6, 0], [6, 0]], [[3, 3], [3, 3]], [[0, 0], [0, 4]]])
    activity = neurons.activation(maps)
    assert activity.tolist() == [[[[1, 3], [2, 3], [3, 3], [4, 1]]]]
    # filter 0 is above its mean 2.5 in moments 2 and 3, as the goal is: 1; filter 1, above 2.5 in 0, 1, 2: agrees in 2 only
    assert neurons.skill_scores(activity[:, 0], torch.tensor([[0.0, 0, 1, 1]])).tolist() == [[1.0, 0.75]]
    dense = torch.randn(1, 2, 4, 3)
    assert neurons.activation(dense) is dense


def test_a_masked_filter_moves_by_exactly_its_share():
    """Steps and Adam's past of a masked population and a free one are the same, so the quotient of the moves is the mask."""
    seeds, method = (0, 1), NBSP(replay_every=0)
    agent = sac.make_agent(method, tiny.generators(seeds, 1), IMAGE, Categorical(ACTIONS), ("a",), SETTINGS)
    share = [0.125, 0.5, 0.25]
    for i, mask in enumerate(share):  # powers of two: the product is exact
        method.state[f"critic.union{i}"][1, 0, 0, 3 * i] = mask
    method.state["actor.union3"][0, 0, 0, 2] = 0.0
    free, _ = tiny.copied(agent, method)
    u = tiny.generators((5,), 1)[0]
    batch = {
        "obs": images(seeds, B, *IMAGE),
        "next_obs": images(seeds, B, *IMAGE, purpose=3),
        "action": torch.randint(ACTIONS, (2, B, 1), generator=u).float(),
        "reward": torch.randn(2, B, 1, generator=u),
        "done": torch.zeros(2, B, 1),
    }
    steps = {}

    class Watch(NBSP):
        def shape_step(self, net, made, noise):
            steps[net.name] = made
            return super().shape_step(net, made, noise)

    watched = Watch(replay_every=0)
    watched.state = method.state
    before = {net.name: {k: t.clone() for k, t in net.params.items()} for net in agent.networks}
    with torch.no_grad():
        sac.update(agent, batch, None, {}, watched, SETTINGS)
        sac.update(free, batch, None, {}, Method(), SETTINGS)
    masked = {("critic", i, 1, 0, 3 * i): mask for i, mask in enumerate(share)} | {("actor", 3, 0, 0, 2): 0.0}
    for net in agent.networks:
        for i in range(net.depth):
            for kind in "wb":
                k = f"{kind}{i}"
                factor = torch.ones_like(net.params[k])
                for (name, layer, p, c, unit), mask in masked.items():
                    if (name, layer) == (net.name, i):
                        factor[p, c, :, unit] = mask
                assert torch.equal(net.params[k], before[net.name][k] + steps[net.name][k] * factor), k
    assert all((steps["critic"][f"w{i}"][1, 0, :, 3 * i] != 0).any() for i in range(3))
    assert torch.equal(agent.critic.m["w1"], free.critic.m["w1"])
    # a seed without a mask on its critics moves them as if nobody had one
    assert all(torch.equal(agent.critic.params[k][0], free.critic.params[k][0]) for k in free.critic.params)


def test_nbsp_chooses_filters_by_their_scores():
    """One dense unit and three filters follow the goal exactly, all others are constant but for one moment."""
    seeds, T, method = (0,), 20, NBSP(share=0.025, alpha=0.5)  # floor(0.025 · 168) = 4 of the neurons
    agent = sac.make_agent(method, tiny.generators(seeds, 1), IMAGE, Categorical(ACTIONS), ("a",), SETTINGS)
    goal = (torch.arange(T) % 2).float()[None]
    hidden = {}
    for net in agent.networks:
        layers = [torch.ones(1, net.params["b0"].shape[1], T, *z.shape[3:]) for z in sac.probes_of(net, T, *IMAGE)]
        for layer in layers:
            layer[:, :, 3] = 0
            layer[:, :, :, 4] = 0
            layer[:, :, :, 4].view(*layer.shape[:3], -1)[..., 0] = 5 * goal[:, None]
        hidden[net.name] = [neurons.activation(layer) for layer in layers]
    method.after_task(agent, 0, tiny.StubContext(seeds, hidden, goal))
    for net in agent.networks:
        for i in range(4):
            union = method.state[f"{net.name}.union{i}"]
            assert union.shape == net.params[f"b{i}"].shape
            assert (union < 1).nonzero()[:, 3].tolist() == [4] * union.shape[1] and (union[..., 4] == 0).all()
