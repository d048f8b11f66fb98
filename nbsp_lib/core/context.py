"""What a method's hooks may ask the trainer for."""

from __future__ import annotations

import torch

from nbsp_lib.core.sac import loss_gradients, make_probes


class Context:
    """Gives hooks the tasks, the seeds, rollouts, recent experience, random numbers and more updates.

    gens: a generator of each seed that nothing else uses. play(task name): a scoring rollout, see training.rollout. learn(n):
    n more updates.
    """

    def __init__(self, agent, method, replay, gens, seeds, settings, play=None, learn=None):
        self.agent, self.method, self.replay, self.gens, self.play = agent, method, replay, gens, play
        self.seeds, self.tasks, self.settings, self.learn = seeds, agent.tasks, settings, learn

    def rollout(self, task):
        """Plays the scoring rollout of `task` -> hidden activations {network: [P, C, T, W] per layer}, the goal metric [P, T]
        of each moment, and its episode or game [P, T], never falling."""
        played = self.play(self.tasks[task])
        self.method.before_task(self.agent, task, "resume")
        device = self.agent.updates.device
        return played.hidden, played.goal(self.settings.goal).to(device), played.episode.to(device)

    def draw(self, kind, *shape):
        """Draws kind (torch.rand, torch.randn) of [P, *shape] from generators that training does not use."""
        return torch.stack([kind(shape, generator=g) for g in self.gens]).to(self.agent.updates.device)

    def sample(self, n):
        """Returns a batch of n recent rows per seed, a dict of [P, n, width]."""
        return self.replay.gather(self.replay.recent(self.draw(torch.rand, n)))

    def blame(self, n):
        """Returns hidden activations on n recent rows and the derivatives of the two losses by them: {network: list of [P, C,
        n, W]} twice. Only for multi-layer perceptrons."""
        batch = self.sample(n)
        noise = self.draw(torch.randn, 2, n, batch["action"].shape[-1]).transpose(0, 1)  # [2, P, n, A]
        found = loss_gradients(self.agent, batch, noise, self.method, self.settings, make_probes(self.agent, n))
        return {name: hidden for name, (_, _, hidden) in found.items()}, {
            name: blame for name, (_, blame, _) in found.items()
        }

    def train(self, n):
        """Makes n more updates from the recent rows, with the method's hooks, without a step of the environment."""
        self.learn(n)
