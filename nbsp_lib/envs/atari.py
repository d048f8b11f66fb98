"""Atari 2600 games of the Arcade Learning Environment as one batched step over seeds and environments.

Axes: P population (seed), E environments of a seed. All environments run in this process, one after another, in one thread.

Games end at different moments. An environment whose game has ended starts the next one within the same step ("same-step
reset"): `Step.last` is what the action led to, `Step.observation` what the next action is chosen from. Both are one new frame;
callers make the stacks.

Pairs of games (a departure: the paper's choice is not at hand, only that two pairs are related and two are not). The first two
are given; of the others, one is related and one is not:
  (bowling, pong)
  (bank-heist, alien)             mazes: collect things, avoid pursuers, all 18 actions
  (space-invaders, demon-attack)  related: a cannon at the bottom, moved left and right, fires at what comes from above. Both
                                  have the same six actions, so a skill can carry over and be overwritten.
  (boxing, road-runner)           unrelated: a duel on one screen with frequent points of both signs, and a flight along a
                                  scrolling road, with food, pits and a pursuer. Both are learned within 60,000 steps from
                                  memory bytes, which most games are not (docs/protocol.md), so the laptop trains this pair.
"""

from __future__ import annotations

import csv
import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from nbsp_lib.core.frames import SCREEN
from nbsp_lib.envs.batched import Batched, integers
from nbsp_lib.envs.emulator import Emulator, Protocol

SCORES = Path(__file__).resolve().parents[2] / "data" / "atari_scores.csv"


@functools.cache
def reference_scores():
    """Reads {game: (random, human)} points from data/atari_scores.csv, which names their source; none outside a clone."""
    if not SCORES.is_file():
        return {}
    with SCORES.open(encoding="utf-8", newline="") as file:
        return {row["game"]: (float(row["random"]), float(row["human"])) for row in csv.DictReader(file)}


def normalised(game, raw):
    """Returns (raw − random) / (human − random): 0 is random play, 1 a professional human tester. raw: points, a number or an
    array.

    ValueError for a game without published scores in the table.
    """
    if game not in reference_scores():
        raise ValueError(f"no reference scores of {game!r}: there are those of {', '.join(reference_scores())}")
    random, human = reference_scores()[game]
    return (np.asarray(raw) - random) / (human - random)


class Step(NamedTuple):
    """Holds what a step gives: new arrays, [P, E] each, observations [P, E, *obs_shape]."""

    observation: np.ndarray  # to choose the next action from; the first of a new game where `began`
    reward: np.ndarray  # float32, for the learner
    score: np.ndarray  # float32, points as the game counts them
    terminated: np.ndarray  # bool: never bootstrap: game over, or a lost life if the protocol says so
    truncated: np.ndarray  # bool: cut by the limit on frames; bootstrap from `last`
    began: np.ndarray  # bool: a new game has begun, because the old one was over or cut
    last: np.ndarray  # observation that the action led to: `observation` itself except where `began`


class Atari(Batched):
    """Steps P x E environments of one game. A trajectory depends on (task, protocol, seed, start, actions since the reset)
    only.

    obs_shape, obs_dtype: of one observation. act_dim: number of actions, numbered as in ALE (0 no-op, 1 fire, 2 up …) unless
    the protocol asks for the game's own. An action that a game does not have acts like the action that remains without the
    direction or the fire the game does not know (tests/envs/test_atari.py); in "ram" a few bytes show which was pressed.
    ValueError for an unknown game, an empty population, a negative seed.
    """

    goals = 2**31  # how many different starts there are: the counterpart of Meta-World's goals

    def __init__(self, task, seeds, envs, protocol=None):
        super().__init__(task, seeds, envs)
        self.protocol = protocol or Protocol()
        cv2.setNumThreads(1)  # one thread per training process
        self.games = [Emulator(task, self.protocol) for _ in range(len(seeds) * envs)]  # row-major over [P, E]
        self.running = False
        ale = self.games[0].ale
        self.actions = [
            action.value
            for action in (ale.getLegalActionSet() if self.protocol.full_actions else ale.getMinimalActionSet())
        ]
        self.act_dim = len(self.actions)
        self.obs_shape, self.obs_dtype = (
            ((128,), np.float32) if self.protocol.observation == "ram" else (SCREEN, np.uint8)
        )

    def stacked(self, observations):
        return np.array(observations, self.obs_dtype).reshape(*self.shape, *self.obs_shape)

    def reset(self, starts):
        """Begins new games everywhere -> first observation [P, E, *obs_shape].

        starts [P, E] int in 0..goals-1: with seeds[p] they fix the random numbers of environment [p, e].
        """
        starts = integers("starts", starts, self.shape, self.goals)
        self.running = True
        seeds = np.repeat(self.seeds, self.shape[1]).tolist()
        return self.stacked(
            [game.begin(seed, start, 0) for game, seed, start in zip(self.games, seeds, starts.ravel().tolist())]
        )

    def checked(self, action):
        """Returns `action` as a flat list of ALE's actions. ALE itself takes any number: 18 and more are a second player's
        joystick and the console's switches."""
        return [self.actions[a] for a in integers(f"actions of {self.task}", action, self.shape, self.act_dim).flat]

    @property
    def fresh(self):
        """Whether nothing has been done in a game yet, bool [P, E]."""
        return np.array([not game.actions for game in self.games]).reshape(self.shape)

    def step(self, action, alive=None):
        """Plays `skip` frames everywhere, or where `alive`, a bool [P, E], is true -> Step. action [P, E] int in 0..act_dim-1.

        ValueError before anything moves for an action that does not exist; RuntimeError before the first reset.
        """
        if not self.running:
            raise RuntimeError("no game is running: reset first")
        moves = np.ones(self.shape, bool) if alive is None else alive
        played = [
            game.step(a) if on else (0, False, False, False)
            for game, a, on in zip(self.games, self.checked(action), moves.flat)
        ]
        score, lost, over, cut = (np.array(column).reshape(self.shape) for column in zip(*played))
        last = self.stacked([game.observation for game in self.games])
        began, observation, score = over | cut, last, score.astype(np.float32)
        if began.any():
            for game, new in zip(self.games, began.flat):
                if new:
                    game.begin(game.seed, game.start, game.game + 1)
            observation = self.stacked([game.observation for game in self.games])
        reward = np.sign(score) if self.protocol.clip_reward else score.copy()
        return Step(observation, reward, score, over | lost if self.protocol.life_loss else over, cut, began, last)

    def state(self):
        """Returns what is needed to resume exactly: P bytes objects, one for each seed, so that seeds can be regrouped. No
        pickle.

        A line of JSON, then the actions of each environment's game so far, a byte a step.
        """
        if not self.running:
            raise RuntimeError("no game is running: reset first")
        states, E = [], self.shape[1]
        for first in range(0, len(self.games), E):
            saved = [game.save() for game in self.games[first : first + E]]
            games = [header | {"steps": len(actions)} for header, actions in saved]
            head = {"task": self.task, "protocol": asdict(self.protocol), "games": games}
            states.append(json.dumps(head).encode() + b"\n" + b"".join(actions for _, actions in saved))
        return states

    def restore(self, states):
        """Resumes where `state` was called, in this object or another, in this process or another -> observation there.

        Every game is replayed up to there (emulator.py says why), at about 15,000 frames a second.
        ValueError, before anything changes, if the states are of another game, protocol, seed or number of environments.
        """
        loads = []
        if len(states) != len(self.seeds):
            raise ValueError(f"{len(self.seeds)} seeds need as many states, got {len(states)}")
        for seed, state in zip(self.seeds, states):
            line, _, rest = state.partition(b"\n")
            head = json.loads(line)
            games = head.pop("games")
            ends = np.cumsum([0, *(game.pop("steps") for game in games)])
            wanted = {"task": self.task, "protocol": asdict(self.protocol)}
            if head != wanted or [game["seed"] for game in games] != [seed] * self.shape[1] or len(rest) != ends[-1]:
                raise ValueError(f"this is not the state of {self.shape[1]} environments of seed {seed} with {wanted}")
            loads += zip(games, (rest[a:b] for a, b in zip(ends[:-1], ends[1:])))
        for game, load in zip(self.games, loads):
            game.load(*load)
        self.running = True
        return self.stacked([game.observation for game in self.games])

    def close(self):
        """Ends the games."""
        self.running = False
