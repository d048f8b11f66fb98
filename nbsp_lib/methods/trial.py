"""A run in miniature: a small population, made-up experience, no environment, hooks in the order of trainer.Trainer.

check.py makes its checks with it, and notebooks show on it what a method does.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch

from nbsp_lib.core import gaussian, sac
from nbsp_lib.core.categorical import Categorical
from nbsp_lib.core.context import Context
from nbsp_lib.core.replay import Replay
from nbsp_lib.core.task_end import end_task

OBS, ACT, TASKS, BATCH, ROWS, PART, UPDATES = 7, 2, ("first task", "second task"), 16, 60, 20, 6


HEADS = (gaussian.Gaussian(ACT), Categorical(5, 0.6))


SETTINGS = SimpleNamespace(
    layers=(16, 12),
    gamma=0.99,
    tau=0.005,
    actor_lr=1e-3,
    critic_lr=3e-3,
    alpha_lr=2e-3,
    batch=BATCH,
    steps=2 * UPDATES,
    random_steps=4,
    updates_per_step=0.5,
    store=0.1,
    goal="success",
    episode=20,
    scoring_episodes=2,
)


class MadeUpContext(Context):
    """Makes rollouts out of recent experience, in episodes of ten moments, with a random goal metric."""

    def rollout(self, task):
        self.method.before_task(self.agent, task, "evaluate")
        batch, agent = self.sample(40), self.agent
        _, actor = self.method.forward(agent.actor, agent.actor.params, batch["obs"][:, None])
        _, critic = agent.head.q_values(self.method, agent.critic, agent.critic.params, batch["obs"], batch["action"])
        self.method.before_task(self.agent, task, "resume")
        goal = (self.draw(torch.rand, 40) > 0.7).float()
        return {"actor": actor, "critic": critic}, goal, (torch.arange(40) // 10).expand(len(goal), -1)


class Trial:
    """Runs a population of `seeds` under the method that make() returns. Random numbers depend on seed, purpose and position
    only."""

    def __init__(self, make, seeds=(0,), head=HEADS[0], update=sac.update_from_rows):
        self.method, self.seeds, self.head, self.position, self.update = make(), tuple(seeds), head, 0, update
        self.agent = sac.make_agent(self.method, self.gens("init"), OBS, head, TASKS * 2, SETTINGS)
        self.replay = Replay(
            len(seeds), ROWS, len(TASKS), PART, OBS, head.action_width, more=self.method.columns(self.agent)
        )
        self.begin()

    def gens(self, purpose):
        """Makes a fresh generator of each seed for a purpose at this position."""
        key = sum(map(ord, purpose)) + 1009 * self.position
        return [torch.Generator().manual_seed(1_000_003 * key + seed) for seed in self.seeds]

    def begin(self):
        """Tells the task and fills the ring with experience of it."""
        self.method.before_task(self.agent, self.position % len(TASKS), "train")
        draw = lambda *shape: torch.stack(
            [torch.randn(shape, generator=g) for g in self.gens(f"rows {len(shape)}{shape[-1]}")]
        )
        obs, action, reward = draw(ROWS, OBS), self.head.explore(torch.special.ndtr(draw(ROWS, ACT))), draw(ROWS)
        more = self.method.collected(self.agent, obs)
        self.replay.add(obs, action.float(), reward, obs.roll(1, 1), torch.zeros_like(reward), **more)
        self.context = MadeUpContext(
            self.agent, self.method, self.replay, self.gens("world"), self.seeds, SETTINGS, learn=self.learn
        )

    def learn(self, updates=UPDATES, purpose="learn"):
        gens, wanted = self.gens(purpose), self.method.noise(self.agent)
        draw = lambda kind, *shape: torch.stack([kind(shape, generator=g) for g in gens])
        for _ in range(updates):
            recent = self.replay.recent(draw(torch.rand, BATCH))
            stored = (
                self.replay.stored(draw(torch.rand, 1), draw(torch.rand, BATCH))
                if self.replay.tasks
                else recent.clone()
            )
            noise = {"sac": draw(torch.randn, 2, BATCH, ACT).transpose(0, 1)} if self.head.noisy else {}
            noise |= {name: draw(torch.randn, *shape) for name, shape in wanted.items()}
            self.update(self.agent, self.replay, recent, stored, noise, self.method, SETTINGS)

    def round(self):
        """Runs what happens between two rounds: what is periodic, and an evaluation of every task."""
        self.method.periodic(self.agent, self.context)
        for task in range(len(TASKS)):
            self.method.before_task(self.agent, task, "evaluate")
            self.head.act(
                self.method, self.agent.actor, self.agent.actor.params, torch.ones(len(self.seeds), 3, OBS), None
            )
        self.method.before_task(self.agent, self.position % len(TASKS), "resume")

    def finish(self):
        """Runs the switch, as switch.finish."""
        task = self.position % len(TASKS)
        self.method.after_task(self.agent, task, self.context)
        self.round()
        end_task(self.agent, self.method, self.replay, task, self.gens("store"))
        self.position += 1
        self.begin()

    def tensors(self):
        return (
            self.agent.tensors()
            | {f"method.{k}": t for k, t in self.method.state.items()}
            | {"rows": self.replay.data, "counts": self.replay.counts}
        )

    def copy(self):
        return {k: t.clone() for k, t in self.tensors().items()}

    def live(self, positions=3):
        """Runs positions with a round in the middle, and some updates of the next."""
        for _ in range(positions):
            self.learn()
            self.round()
            self.learn(purpose="learn more")
            self.finish()
        self.learn()
        return self
