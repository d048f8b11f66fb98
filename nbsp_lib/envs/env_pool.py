"""Environments stepped by several processes: the same trajectories as in one, while the caller computes.

For a GPU, whose updates would otherwise wait for the environments. On a CPU a second training process is the better use of a
core. Nothing here is random, so the division of environments among processes changes nothing (tests/envs/test_envs.py).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle

import numpy as np

from nbsp_lib.envs.metaworld import MetaWorld

# A step, asked or answered, is this byte, the key of its environments and plain float32; all else is a pickled object, which
# begins with another byte. Pickled steps cost the training process half as much again, and it has no time to lose.
STEP, HEAD = b"s", 8


def serve(pipe):
    """Answers requests of a parent process, steps or pickled (what, key, …), until the pipe ends, also when the parent dies."""
    mine = {}
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            request = pipe.recv_bytes()
            try:
                if request[:1] == STEP:
                    env = mine[int.from_bytes(request[1:HEAD], "little")]
                    obs, *more = env.step(np.frombuffer(request, np.float32, offset=HEAD).reshape(*env.shape, -1))
                    pipe.send_bytes(
                        request[:HEAD] + np.dstack([obs, *more]).tobytes()
                    )  # [n, 1, obs | reward | success]
                    continue
                what, key, *rest = pickle.loads(request)
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
        self.head = STEP + key.to_bytes(HEAD - 1, "little")
        owners = np.repeat(np.asarray(seeds), envs)  # row-major over [P, E]
        self.parts = np.array_split(np.arange(len(owners)), len(self.pipes))
        self.tell("make", [(task, tuple(owners[part].tolist()), 1, episode) for part in self.parts])
        self.answers()

    def send(self, messages):
        for pipe, message in zip(self.pipes, messages):
            try:
                pipe.send_bytes(message)
            except OSError:
                raise RuntimeError("a process that steps environments has died") from None

    def tell(self, what, arguments):
        self.send(pickle.dumps((what, self.key, *some)) for some in arguments)

    def answers(self):
        """Returns every worker's answer, bytes of a step or an object, or raises the error of one, after all have answered."""
        try:
            heard = [pipe.recv_bytes() for pipe in self.pipes]
        except (EOFError, OSError):
            raise RuntimeError("a process that steps environments has died") from None
        heard = [one if one[:1] == STEP else pickle.loads(one) for one in heard]
        for one in heard:
            if isinstance(one, Exception):
                raise one
        return heard

    def split(self, values):
        """Returns values [P, E, …] as one array [n, 1, …] for each worker."""
        flat = values.reshape(-1, 1, *values.shape[2:])
        return [flat[part] for part in self.parts]

    def reset(self, goals):
        self.tell("reset", [(some,) for some in self.split(np.asarray(goals))])
        return np.concatenate(self.answers()).reshape(*self.shape, -1)

    def step_async(self, action):
        self.send(self.head + some.tobytes() for some in self.split(np.asarray(action, np.float32)))

    def step_wait(self):
        numbers = [np.frombuffer(answer, np.float32, offset=HEAD) for answer in self.answers()]
        rows = np.concatenate(numbers).reshape(*self.shape, -1)
        return rows[..., :-2].copy(), rows[..., -2].copy(), rows[..., -1].copy()

    def step(self, action):
        self.step_async(action)
        return self.step_wait()

    def close(self):
        self.tell("close", [()] * len(self.pipes))
        self.answers()
