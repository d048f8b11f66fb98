"""Skill scores and masks on a plain torch network, which learns half of a curve, then the other half."""

import torch
from torch import nn

from nbsp_lib.extras.torch_skills import SkillNeurons

FIRST, SECOND = ((x, torch.sin(6 * x)) for x in torch.linspace(-1, 1, 512)[:, None].chunk(2))


def error(network, x, y):
    return (network(x) - y).pow(2).mean(1)


def learn_both(share=0.2, replay_every=10, steps=400, seed=0):
    """Returns the error on the first half, just learned and in the end, and that on the second half in the end."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    skills = SkillNeurons(network, {"0": "1", "2": "3"}, share)  # layer: where its activation comes out
    skills.hold(optimizer)  # holds nothing until something is protected
    errors = []
    for task in (FIRST, SECOND):
        for step in range(1, steps + 1):
            optimizer.zero_grad()
            error(network, *(FIRST if replay_every and step % replay_every == 0 else task)).mean().backward()
            optimizer.step()
        errors.append(error(network, *FIRST).mean().item())
        with skills.recording() as recorded, torch.no_grad():
            goal = -error(network, *task)  # q(t): how well this moment went
        skills.protect(len(errors), recorded, goal)
    return *errors, error(network, *SECOND).mean().item()


if __name__ == "__main__":  # seen: replay keeps the first half, masks alone do not; NBSP is the last line
    for share, replay_every in ((0, 0), (0.2, 0), (0, 10), (0.2, 10)):
        errors = torch.tensor([learn_both(share, replay_every, seed=seed) for seed in range(5)])
        print(f"share {share}, replay every {replay_every}: median errors", errors.median(0).values.tolist())
