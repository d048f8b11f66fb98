"""Environments stepped by several processes: the same trajectories as in one, while the caller computes.

For a GPU, whose updates would otherwise wait for the environments. On a CPU a second training process is the better use of a
core. Nothing here is random, so the division of environments among processes changes nothing (tests/envs/test_envs.py).
"""

from __future__ import annotations

import contextlib
import multiprocessing

import numpy as np

from nbsp_lib.envs.metaworld import MetaWorld


def serve(pipe):
    """Answers requests (what, key, …) of a parent process until the pipe ends, also when the parent dies."""
    mine = {}
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            what, key, *rest = pipe.recv()
            try:
                if what == "make":
                    answer, mine[key] = None, MetaWorld(*rest)
                else:
                    answer = getattr(mine[key], what)(*rest)
            except Exception as error:
                answer = error
            pipe.send(answer)


class Pool:
    """Starts `processes` workers with simulators of their own. Called like MetaWorld, it makes environments that live in them."""

    def __init__(self, processes):
        spawn = multiprocessing.get_context("spawn")  # a fork of a process that uses CUDA does not work
        self.pipes, self.processes, self.made = [], [], 0
        for _ in range(processes):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)

    def __call__(self, task, seeds, envs, episode):
        self.made += 1
        return Remote(self, self.made, task, seeds, envs, episode)

    def close(self):
        for pipe, process in zip(self.pipes, self.processes):
            pipe.close()
            process.join(10)
            process.kill()


class Remote:
    """Passes P x E environments of one task on to the workers of a Pool; methods and shapes as of MetaWorld."""

    obs_dim, act_dim, goals = MetaWorld.obs_dim, MetaWorld.act_dim, MetaWorld.goals

    def __init__(self, pool, key, task, seeds, envs, episode):
        self.key, self.shape, self.pipes = key, (len(seeds), envs), pool.pipes[: len(seeds) * envs]
        owners = np.repeat(np.asarray(seeds), envs)  # row-major over [P, E]
        self.parts = np.array_split(np.arange(len(owners)), len(self.pipes))
        self.tell("make", [(task, tuple(owners[part].tolist()), 1, episode) for part in self.parts])
        self.answers()

    def tell(self, what, arguments):
        for pipe, some in zip(self.pipes, arguments):
            try:
                pipe.send((what, self.key, *some))
            except OSError:
                raise RuntimeError("a process that steps environments has died") from None

    def answers(self):
        """Returns every worker's answer, or raises the error of one that failed, after all have answered."""
        try:
            heard = [pipe.recv() for pipe in self.pipes]
        except (EOFError, OSError):
            raise RuntimeError("a process that steps environments has died") from None
        for one in heard:
            if isinstance(one, Exception):
                raise one
        return heard

    def split(self, values):
        """Returns values [P, E, …] as one array [n, 1, …] for each worker."""
        flat = np.asarray(values).reshape(-1, 1, *np.shape(values)[2:])
        return [(flat[part],) for part in self.parts]

    def joined(self, parts):
        return np.concatenate(parts).reshape(*self.shape, *parts[0].shape[2:])

    def reset(self, goals):
        self.tell("reset", self.split(goals))
        return self.joined(self.answers())

    def step_async(self, action):
        self.tell("step", self.split(action))

    def step_wait(self):
        return tuple(self.joined(parts) for parts in zip(*self.answers()))

    def step(self, action):
        self.step_async(action)
        return self.step_wait()

    def close(self):
        self.tell("close", [()] * len(self.pipes))
        self.answers()
