"""The trainer: one loop for every method, sequence and device, resumable after every round.

P population (seed), E environments per seed, A action dimensions. A position is one place in a sequence. It is trained in
rounds of equally many steps in all environments, and the state may be saved after each round; see collect.py.
"""

from __future__ import annotations

import time

import torch

from nbsp_lib.core.budgets import at_position
from nbsp_lib.core.compilation import captured, compiled
from nbsp_lib.core.context import Context
from nbsp_lib.core.rng import STREAMS, generators
from nbsp_lib.core.sac import make_agent, update_from_rows
from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.envs.sequences import distinct, tasks_of
from nbsp_lib.errors import Diverged
from nbsp_lib.training import collect, measure, switch
from nbsp_lib.training.columns import COLUMNS
from nbsp_lib.training.networks import ships_finite, snapshot
from nbsp_lib.training.rollout import play, schedule
from nbsp_lib.training.saving import save


class Trainer:
    """Trains P seeds in lock-step through a task sequence; all began their position together.

    A seed whose position is over leaves: it is saved, and what is computed for it afterwards is ignored.
    """

    def __init__(self, train, sequence, method, seeds, device="cpu", make=None, compile=False):
        self.train, self.method, self.seeds, self.device = train, method, tuple(seeds), device
        self.positions, self.tasks = tasks_of(sequence), distinct(tasks_of(sequence))
        self.kind = kind = benchmark(self.tasks, train)
        # graph: the population keeps its size
        self.make, self.head, self.graph = (make or kind.make, kind.head, device != "cpu")
        self.streams = {name: [generators(seed, device)[name] for seed in seeds] for name in STREAMS}
        self.agent = make_agent(method, self.streams["init"], kind.obs, self.head, self.positions, train, device)
        self.replay = collect.make_replay(kind, train, len(self.tasks), len(seeds), method.columns(self.agent), device)
        self.collector = (collect.GameCollector if kind.whole_games else collect.EpisodeCollector)(self.replay, device)
        self.budgets = [at_position(train.steps, k) // (train.envs * train.episode) for k in range(len(self.positions))]
        self.updates_per_step, self.graphs = round(train.updates_per_step * train.envs), {}
        self.compile, self.compiled = compile or device != "cpu", False  # asked for; whether any update ever was
        self.position = self.round = 0
        self.left = set()  # indices of the seeds that have left
        # steps of each seed in the positions before; seconds it has spent in all
        self.taken, self.seconds = ([0] * len(seeds), [0.0] * len(seeds))
        self.tables = {name: [[] for _ in seeds] for name in COLUMNS}  # rows of the csv files, per seed
        self.context = Context(
            self.agent,
            method,
            self.replay,
            self.streams["world"],
            self.seeds,
            train,
            self.scoring_rollout,
            lambda updates: self.update(self.draws(updates)),
        )

    @property
    def task(self):
        """Index of the distinct task in training."""
        return self.tasks.index(self.positions[self.position])

    @property
    def rounds(self):
        """Largest number of rounds of this position."""
        return self.budgets[self.position]

    @property
    def here(self):
        """Indices of the seeds that have not left."""
        return [p for p in range(len(self.seeds)) if p not in self.left]

    @property
    def step(self):
        """Steps of a seed in this position so far, over all its environments."""
        return self.round * self.train.envs * self.train.episode

    def mastered(self, p):
        """Returns whether the last three evaluations of seed number p reach the rate at which its task counts as mastered."""
        return measure.mastered(self, p, at_position(self.train.mastery, self.position))

    def over(self, p):
        """Returns whether seed number p has trained this position to its end."""
        return self.round == self.rounds or self.mastered(p)

    # -- learning ------------------------------------------------------------------------------------------------------
    def draw(self, kind, stream, *shape, axis=0):
        """Draws kind (torch.rand, torch.randn) of `shape` from each seed's generator of a stream, on the device; P at `axis`."""
        drawn = [kind(shape, generator=g, device=g.device) for g in self.streams[stream]]
        return torch.stack(drawn, axis).to(self.device, non_blocking=True)

    def draws(self, updates):
        """Draws all random numbers of so many updates -> (u, rows, noise).

        u [U, P, B] uniform, for recent rows; rows [U, P, B] stored ones or None; noise [U, 2, P, B, A] or None.
        """
        B, A = self.train.batch, self.head.act_dim
        noise = self.draw(torch.randn, "update", updates, 2, B, A, axis=2) if self.head.noisy else None
        u = self.draw(torch.rand, "update", updates, B, axis=1)
        if not self.replay.tasks:
            return u, None, noise
        which = self.draw(torch.rand, "stored", updates, 1, axis=1)
        return u, self.replay.stored(which, self.draw(torch.rand, "stored", updates, B, axis=1)), noise

    def environments(self):
        """Makes the environments of this position."""
        return self.make(self.positions[self.position], self.seeds, self.train.envs, self.train.episode)

    def play_round(self, env, updates=True):
        """Plays `episode` steps in every environment and makes their updates.

        The updates of a step are made while the environments take it, from what was stored before. updates=False: the policy
        acts from the first step on and nothing is learned; the streams of chance advance as with updates.
        """
        train, (E, T), per_step = self.train, (self.train.envs, self.train.episode), self.updates_per_step
        exploring = updates and self.replay.seen < train.random_steps
        starts = lambda: torch.stack(
            [torch.randint(env.goals, (E,), generator=g) for g in self.streams["goals"]]
        ).numpy()
        obs = self.collector.first(env, starts)  # [P, E, obs]
        shape = (T, E, self.head.act_dim)
        if exploring:
            actions = self.head.explore(self.draw(torch.rand, "explore", *shape, axis=1))  # [T, P, E, A]
        else:
            noise, draws = self.draw(torch.randn, "act", *shape, axis=1), self.draws(T * per_step)
        for t in range(T):
            action = actions[t] if exploring else self.act(obs, noise[t])
            more = self.method.collected(self.agent, obs)
            self.collector.ask(env, action)
            if updates and not exploring:
                self.update([d if d is None else d[t * per_step : (t + 1) * per_step] for d in draws])
            obs = self.collector.keep(obs, action, env.step_wait(), more)
        self.round += 1

    @torch.no_grad()
    def act(self, obs, noise):
        """Returns exploring actions [P, E, A]."""
        choose = lambda obs, noise: self.head.act(self.method, self.agent.actor, self.agent.actor.params, obs, noise)[0]
        return self.prepared("act", choose, obs, noise).clone()

    def update(self, draws):
        """Makes the updates of `draws`."""
        u, stored, noise = draws
        drawn = {} if noise is None else {"sac": noise}
        for name, shape in self.method.noise(self.agent).items():
            drawn[name] = self.draw(torch.randn, "method", len(u), *shape, axis=1)

        def from_rows(recent, stored, *normal):
            update_from_rows(self.agent, self.replay, recent, stored, dict(zip(drawn, normal)), self.method, self.train)

        recent = self.replay.recent(u)  # [U, P, B]
        torch.set_float32_matmul_precision(self.train.matmul_precision)
        for one in zip(recent, recent if stored is None else stored, *drawn.values()):
            self.prepared("update", from_rows, *one)
        torch.set_float32_matmul_precision("highest")  # measurements use full precision

    def prepared(self, name, function, *tensors):
        """Calls `function` on tensors; the first call captures it on a GPU, or compiles it on a CPU if that is asked for."""
        if self.compile and name not in self.graphs:
            make = compiled if self.device == "cpu" else captured
            self.graphs[name] = make(function, self.agent.tensors() | self.method.state, tensors)
            self.compile = bool(self.graphs[name])
            self.compiled |= self.compile
        return self.graphs[name](*tensors) if self.compile else function(*tensors)

    def diverged(self):
        """Returns the seeds that would ship a number that is not finite."""
        return [seed for seed, finite in zip(self.seeds, ships_finite(self.agent, self.method).tolist()) if not finite]

    def spend(self, seconds):
        self.seconds = [spent + seconds * (p in self.here) for p, spent in enumerate(self.seconds)]

    def scoring_rollout(self, task):
        """Plays a task (by name) with the agent as it ships -> a rollout with hidden activations."""
        return play(
            snapshot(self.agent),
            task,
            self.seeds,
            self.train.scoring_episodes,
            self.train,
            self.make,
            hidden=True,
            method=self.method,
        )

    # -- measuring -----------------------------------------------------------------------------------------------------
    def evaluate(self, number):
        """Plays evaluation `number` of this position on every distinct task. Changes nothing that learns."""
        self.note("curves", measure.curve_rows(self, number))
        self.method.before_task(self.agent, self.task, "resume")
        if self.replay.filled:
            self.note("plasticity", measure.plasticity_rows(self))

    def note(self, table, rows):
        """Adds rows of a csv file with their seed and position; of two measurements at one step the later stays."""
        task = self.positions[self.position]
        here = {"position": self.position + 1, "training_task": task, "task": task}
        at = lambda row: (row["position"], row.get("step"))
        for p in self.here:
            new = [here | row for row in rows if row["seed"] == self.seeds[p]]
            again = {at(row) for row in new if "step" in row}
            self.tables[table][p][:] = [row for row in self.tables[table][p] if at(row) not in again] + new

    def run(self, states, bar, stop, save_every=20.0, end=True):
        """Trains seeds at one place to the end of their position, saving about every `save_every` seconds.

        Returns when the first of them leave; the others then go on without them. On a GPU it returns when all have left,
        because a captured graph keeps its population. If all are over at once, they pass the switch, unless `end` is False.
        `stop()` true: saves and returns False. Raises Diverged; the last save of every seed stays.
        """
        saved = time.monotonic()
        if states[0].manifest is None:
            self.method.before_task(self.agent, self.task, "train")
            self.evaluate(0)
            save(self, states)
        due, env = schedule(self.train, self.position), None
        while not all(map(self.over, range(len(states)))):
            if env is None:
                env = self.environments()
            began = time.monotonic()
            self.play_round(env)
            if bad := [seed for seed in self.diverged() if self.seeds.index(seed) in self.here]:
                raise Diverged(bad)
            self.method.periodic(self.agent, self.context)
            if self.round in due:
                self.evaluate(due[self.round])
            self.spend(time.monotonic() - began)
            bar(self)
            leaving, halt = {p for p in self.here if self.over(p)}, stop()
            if halt or leaving or time.monotonic() - saved > save_every:
                save(self, states)
                saved = time.monotonic()
            if halt:
                return False
            if self.left or 0 < len(leaving) < len(states):
                self.left |= leaving
                if not (self.graph and self.here):
                    return True
        if end:
            began = time.monotonic()
            switch.finish(self, states)
            self.spend(time.monotonic() - began)
            save(self, states)
            bar(self)
        return True
