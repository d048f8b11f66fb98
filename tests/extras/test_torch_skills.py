"""SkillNeurons on plain torch networks: scores counted by hand, steps beside those of an unmasked copy and of NBSP."""

import copy

import pytest
import torch
from torch import nn

from nbsp_lib.core import nets, sac
from nbsp_lib.extras.torch_skills import SkillNeurons
from nbsp_lib.methods.nbsp import NBSP

GOAL = torch.tensor([0.0, 0.0, 1.0, 1.0])
# rows are moments; neuron 0 fires with the goal, 1 against it, 2 on half of it, 3 never
ACTIVITY = torch.tensor([[0.0, 2.0, 1.0, 0.0], [0.0, 2.0, 0.0, 0.0], [3.0, 0.0, 1.0, 0.0], [3.0, 0.0, 0.0, 0.0]])
SCORES = torch.tensor([1.0, 1.0, 0.5, 0.5])


def network(seed=0):
    """Two hidden layers; the first passes its input on, so that its activity is known."""
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    with torch.no_grad():
        made[0].weight.copy_(torch.eye(4))
        made[0].bias.zero_()
    return made


def protected(net, neurons, inputs, goal=GOAL, task="a", skills=None, **settings):
    skills = skills or SkillNeurons(net, neurons, **settings)
    with skills.recording() as recorded, torch.no_grad():
        for part in inputs.split(2):  # in several passes
            net(part)
    return skills, skills.protect(task, recorded, goal)


def test_scores_and_masks_are_those_counted_by_hand():
    skills, scores = protected(network(), {"0": "1"}, ACTIVITY, share=0.5, alpha=0.4)
    assert torch.equal(scores["0"], SCORES)
    assert torch.equal(skills.kept["0"], torch.tensor([0.0, 0.0, 1.0, 1.0]))  # α (1 − 1) = 0
    skills, _ = protected(network(), {"0": "1"}, ACTIVITY, share=0.75, alpha=0.4)
    torch.testing.assert_close(skills.kept["0"], torch.tensor([0.0, 0.0, 0.2, 1.0]))  # a tie goes to the lower index


def test_of_two_tasks_the_smaller_share_holds_and_a_revisit_renews_its_own():
    net = network()
    skills, _ = protected(net, {"0": "1"}, ACTIVITY, share=0.25)
    other = ACTIVITY[:, [3, 2, 1, 0]]
    protected(net, None, other, task="b", skills=skills)
    assert skills.kept["0"].tolist() == [0, 1, 0, 1]
    protected(net, None, other, task="a", skills=skills)
    assert skills.kept["0"].tolist() == [1, 1, 0, 1]


def test_no_hook_is_left_behind():
    net = network()
    protected(net, {"0": "1", "2": "3"}, ACTIVITY)
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize("make", [lambda p: torch.optim.Adam(p, 1e-2), lambda p: torch.optim.SGD(p, 0.1)])
def test_steps_are_held_back_by_the_mask_and_others_are_free_to_the_last_bit(make):
    net = network()
    free = copy.deepcopy(net)
    skills, _ = protected(net, {"0": "1", "2": "3"}, ACTIVITY, share=0.4, alpha=0.5)
    assert {0.0, 1.0} <= set(torch.cat(list(skills.kept.values())).tolist())
    optimizers = [make(net.parameters()), make(free.parameters())]
    handles = skills.hold(optimizers[0])
    before = copy.deepcopy(net)
    for each, optimizer in zip((net, free), optimizers):
        each(ACTIVITY + 0.1).pow(2).mean().backward()
        optimizer.step()
    for name in ("0", "2"):
        kept = skills.kept[name]
        for mine, other, old in zip(*(each.get_submodule(name).parameters() for each in (net, free, before))):
            share = kept[:, None] if mine.dim() == 2 else kept
            torch.testing.assert_close(mine - old, (other - old) * share, rtol=1e-4, atol=1e-7)
            assert torch.equal(mine[kept == 1], other[kept == 1]) and torch.equal(mine[kept == 0], old[kept == 0])
    assert torch.equal(net[4].weight, free[4].weight)
    for handle in handles:
        handle.remove()
    held = copy.deepcopy(net)
    net(ACTIVITY + 0.1).pow(2).mean().backward()
    optimizers[0].step()
    assert not torch.equal(net[0].weight[skills.kept["0"] == 0], held[0].weight[skills.kept["0"] == 0])


def test_a_step_is_that_of_nbsp():
    """The same weights and masks: a step of torch's Adam held here, one of the learner's Adam held by NBSP."""
    stacked, plain = (
        nets.mlp("actor", 1, [4, 5, 3, 2], [torch.Generator().manual_seed(3)]),
        nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2)),
    )
    with torch.no_grad():
        for i in range(3):
            plain[2 * i].weight.copy_(stacked.params[f"w{i}"][0, 0].T)
            plain[2 * i].bias.copy_(stacked.params[f"b{i}"][0, 0, 0])
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(4))
    skills, _ = protected(plain, {"0": "1", "2": "3"}, x, goal=x[:, 0], share=0.5)
    method = NBSP(share=0.5)
    method.state = {f"actor.union{i}": skills.kept[name][None, None, None] for i, name in enumerate(("0", "2"))}
    loss = lambda params, probe: (nets.mlp_forward(stacked, params, x[None, None])[0].pow(2).mean((1, 2, 3)), None)
    steps = sac.adam_steps(stacked, sac.gradients(stacked, loss)[0], 1e-2)
    for name, step in method.shape_step(stacked, steps, {}).items():
        stacked.params[name].add_(step)
    optimizer = torch.optim.Adam(plain.parameters(), 1e-2)
    skills.hold(optimizer)
    plain(x).pow(2).mean().backward()
    optimizer.step()
    for i in range(3):
        torch.testing.assert_close(plain[2 * i].weight, stacked.params[f"w{i}"][0, 0].T, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(plain[2 * i].bias, stacked.params[f"b{i}"][0, 0, 0], rtol=1e-5, atol=1e-6)


def test_a_neuron_of_a_convolution_is_a_channel():
    net = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(4)[:, :, None, None])
        net[0].bias.zero_()
    maps = torch.zeros(4, 4, 2, 2)
    maps[:, :, 1, 0] = 4 * ACTIVITY  # whose spatial mean is ACTIVITY
    skills, scores = protected(net, {"0": "1"}, maps, share=0.5)
    assert torch.equal(scores["0"], SCORES)
    optimizer, old = torch.optim.SGD(net.parameters(), 0.1), copy.deepcopy(net[0].weight)
    skills.hold(optimizer)
    net(maps + 1).pow(2).mean().backward()
    optimizer.step()
    moved = (net[0].weight != old).flatten(1).any(1)
    assert moved.tolist() == [False, False, True, True]


@pytest.mark.parametrize(("neurons", "said"), [({"0": "9"}, "no module '9'"), ({"1": "1"}, "'1' is ReLU")])
def test_what_has_no_neurons_is_refused(neurons, said):
    with pytest.raises(ValueError, match=said):
        SkillNeurons(network(), neurons)


@pytest.mark.parametrize(
    ("goal", "said"), [(GOAL[:3], "4 moments were recorded"), (torch.ones(4), "constant or not finite")]
)
def test_a_goal_metric_that_says_nothing_is_refused(goal, said):
    with pytest.raises(ValueError, match=said):
        protected(network(), {"0": "1"}, ACTIVITY, goal)
