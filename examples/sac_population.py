"""Soft actor-critic for P seeds at once, on any vectorised gymnasium environment with continuous actions."""

from types import SimpleNamespace

import gymnasium
import numpy as np
import torch

from nbsp_lib.core import gaussian, sac
from nbsp_lib.core.method import Method
from nbsp_lib.core.replay import Replay

SAC = SimpleNamespace(layers=(64, 64), gamma=0.99, tau=0.01, actor_lr=3e-3, critic_lr=3e-3, alpha_lr=3e-3)


def train(name="Pendulum-v1", seeds=(0, 1, 2), E=4, steps=1200, learning_starts=200, updates=2, batch=128):
    """Returns the mean reward of each step and seed, [steps, P]. Every seed plays in E environments."""
    P, envs = len(seeds), gymnasium.make_vec(name, len(seeds) * E, "sync", vector_kwargs={"autoreset_mode": "SameStep"})
    (_, O), (_, A), box = envs.observation_space.shape, envs.action_space.shape, envs.action_space
    split = lambda rows: torch.as_tensor(np.asarray(rows, np.float32)).unflatten(0, (P, E))  # [P·E, …] -> [P, E, …]
    gens = [torch.Generator().manual_seed(seed) for seed in seeds]  # so a seed is the same alone
    draw = lambda kind, *shape: torch.stack([kind(*shape, generator=g) for g in gens])
    method, replay, rewards = Method(), Replay(P, steps * E, 1, 1, O, A), []  # Method() is plain SAC
    agent = sac.make_agent(method, gens, O, gaussian.Gaussian(A), (name,), SAC)
    obs = split(envs.reset(seed=[1000 * seed + e for seed in seeds for e in range(E)])[0])
    for step in range(steps):
        action = agent.head.act(method, agent.actor, agent.actor.params, obs, draw(torch.randn, E, A))[0]
        new, reward, over, cut, info = envs.step(box.high * action.flatten(0, 1).numpy())  # a box around 0
        last = [info["final_obs"][i] if ended else new[i] for i, ended in enumerate(over | cut)]
        replay.add(obs, action, split(reward), split(last), split(over))  # a cut episode is not over: bootstrap
        obs, rewards = split(new), [*rewards, split(reward).mean(1)]
        for _ in range(updates if step >= learning_starts else 0):
            rows, noise = replay.recent(draw(torch.rand, batch)), draw(torch.randn, 2, batch, A).transpose(0, 1)
            sac.update_from_rows(agent, replay, rows, rows, {"sac": noise}, method, SAC)
    return torch.stack(rewards)


if __name__ == "__main__":  # seen: −8.0 … −6.3 at first, in the end −1.6 … −1.2
    print("\n".join(str(part.mean(0).tolist()) for part in train().split(200)))
