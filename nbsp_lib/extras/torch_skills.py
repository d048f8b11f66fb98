"""Skill neurons of any torch network: scores by Eq. 1–4, optimiser steps held back by Eq. 5–7.

One network, no population axis. T moments of a recording, W neurons of a layer, N neurons of all layers together.
The learner of this project needs no hooks, because its networks return their activations; a network from elsewhere is
watched through torch's own.
"""

from __future__ import annotations

import contextlib

import torch

from nbsp_lib.core.neurons import neuron_mask, skill_scores, top_neurons


class SkillNeurons:
    """Scores and masks of the hidden neurons of `network`, an nn.Module.

    neurons: {name of a hidden layer: name of the module whose output is that layer's activation}, as named_modules()
    names them. A layer is nn.Linear, or nn.Conv2d, whose neurons are its channels, with the spatial mean as activation.
    share: m, share of the N neurons that are skill neurons; alpha: α of Eq. 7; score: see core.neurons.skill_scores.
    ValueError for a name that the network does not have, and for a layer of another kind.
    """

    def __init__(self, network, neurons, share=0.2, alpha=0.2, score="paper"):
        modules = dict(network.named_modules())
        if unknown := [name for pair in neurons.items() for name in pair if name not in modules]:
            raise ValueError(f"the network has no module {unknown[0]!r}, there are {', '.join(filter(None, modules))}")
        self.layers = {name: modules[name] for name in neurons}
        self.activations = {name: modules[activation] for name, activation in neurons.items()}
        for name, layer in self.layers.items():
            if not isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
                raise ValueError(f"{name!r} is {type(layer).__name__}: neurons belong to a Linear or a Conv2d")
        self.share, self.alpha, self.score = share, alpha, score
        self.masks = {}  # {task: {layer: [W]}}
        self.kept = {name: layer.weight.new_ones(len(layer.weight)) for name, layer in self.layers.items()}  # [W]

    @contextlib.contextmanager
    def recording(self):
        """Records every forward pass of the network inside -> {layer: [activations [B, W] of each pass]}."""
        found = {name: [] for name in self.layers}

        def keep(name, out):
            found[name].append((out.flatten(2).mean(2) if out.dim() == 4 else out).detach())

        with contextlib.ExitStack() as stack:
            for name, module in self.activations.items():
                handle = module.register_forward_hook(lambda module, given, out, name=name: keep(name, out))
                stack.callback(handle.remove)
            yield found

    def protect(self, task, recorded, goal):
        """Scores the neurons on what was recorded while `task` was played, and renews its mask -> {layer: scores [W]}.

        goal [T]: the goal metric of the recorded moments, in their order. Of several tasks' masks the smallest holds.
        ValueError if the goal metric is not of T moments, is constant or is not finite.
        """
        activity = torch.cat([torch.cat(passes) for passes in recorded.values()], 1)  # [T, N]
        if goal.shape != activity.shape[:1]:
            raise ValueError(f"goal has shape {tuple(goal.shape)}, but {len(activity)} moments were recorded")
        scores = skill_scores(activity[None], goal[None], self.score)  # [1, N]
        mask = neuron_mask(scores, top_neurons(scores, self.share), self.alpha)
        widths = [len(kept) for kept in self.kept.values()]
        self.masks[task] = dict(zip(self.layers, mask[0].split(widths)))
        self.kept = {name: torch.stack([one[name] for one in self.masks.values()]).amin(0) for name in self.layers}
        return dict(zip(self.layers, scores[0].split(widths)))

    def hold(self, optimizer):
        """Makes every step of a torch optimiser Eq. 5–6 -> handles, whose remove() ends it.

        A neuron's incoming weights and its bias take the share of the step that its mask keeps. The step is what the
        optimiser adds, not the gradient, whose scale Adam takes out again. A free neuron takes its step bit for bit.
        """
        before = {}

        def note(*_):
            before.update(
                {
                    (name, kind): p.detach().clone()
                    for name, layer in self.layers.items()
                    for kind, p in layer.named_parameters()
                }
            )

        @torch.no_grad()
        def hold_back(*_):
            for (name, kind), old in before.items():
                p = getattr(self.layers[name], kind)
                p.copy_(old.lerp(p, self.kept[name].reshape(-1, *[1] * (p.dim() - 1))))

        return [optimizer.register_step_pre_hook(note), optimizer.register_step_post_hook(hold_back)]
