"""The benchmarks: the one a task belongs to, and what learner, trainer and tables must know of it.

Environments of all of them are made by make(task, seeds, envs, episode), P seeds × E environments of a seed, and have `goals`
(the number of different starts of a seed), reset(goals [P, E]), step, step_async, step_wait and close.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbsp_lib.core.frames import FRAME_STACK, SCREEN
from nbsp_lib.core.gaussian import Gaussian
from nbsp_lib.envs.sequences import benchmark_of


@dataclass(frozen=True)
class Benchmark:
    """Holds what is known before an environment exists. obs: numbers of an observation, or the (frames, H, W) of a stack of
    pictures.

    head: gaussian.Gaussian or categorical.Categorical. make: see above. whole_games: whether an episode lasts until the game
    is over and goes on from round to round; otherwise all episodes begin and end together, in a round.
    """

    obs: int | tuple
    head: object
    make: object
    whole_games: bool = False

    @property
    def act_dim(self):
        return self.head.act_dim


@dataclass(frozen=True)
class AtariFactory:
    """Makes environments of Atari games under one protocol; equal if the protocols are."""

    protocol: object

    def __call__(self, task, seeds, envs, episode):
        from nbsp_lib.envs.atari import Atari

        return Atari(task, seeds, envs, self.protocol)


def benchmark(tasks, train) -> Benchmark:
    """Returns the Benchmark of a sequence of tasks under the settings of its training: TrainSettings, or the dict in run.json."""
    return _benchmark(benchmark_of(tasks[0]), tasks[0], train if isinstance(train, dict) else vars(train))


def _benchmark(name, task, train):
    if name == "metaworld":
        from nbsp_lib.envs.metaworld import MetaWorld

        return Benchmark(MetaWorld.obs_dim, Gaussian(MetaWorld.act_dim), MetaWorld)
    if name == "dmc":
        from nbsp_lib.envs.dmc import maker, sizes

        obs, act = sizes(task)
        return Benchmark(obs, Gaussian(act), maker(task))
    from nbsp_lib.core.categorical import Categorical
    from nbsp_lib.envs.emulator import Protocol

    protocol = Protocol(
        **{key: train[key] for key in ("observation", "sticky", "noops", "frames", "clip_reward", "life_loss")}
    )
    obs = 128 if protocol.observation == "ram" else (FRAME_STACK, *SCREEN)
    return Benchmark(
        obs, Categorical(18, train["target_entropy"], train["temperature"]), AtariFactory(protocol), whole_games=True
    )
