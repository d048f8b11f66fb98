"""One Atari 2600 game of the Arcade Learning Environment (ALE): its protocol, and the state needed to resume it exactly.

ALE's own saved states are not all of its memory. In Q*bert and Tetris a restored game plays differently, in Tetris it writes
out of bounds, and in others the first picture is partly that of the game before (data/atari_games.csv). So a game is resumed
by replaying its actions. ALE's reset is no clean start either: in Boxing and Demon Attack its result depends on the games
played before. So every game begins by loading the cartridge anew (65 ms); games whose saved state is exact, those of the
sequences, begin with the saved state of the console just switched on (1 ms). Random numbers (no-ops at a start, sticky
actions) are drawn here, one stream for each game. ALE's own generator is switched off, because it does not belong to a game.
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass

import ale_py
import cv2
import numpy as np

from nbsp_lib.core.frames import FRAME_SKIP, SCREEN
from nbsp_lib.envs.sequences import TWO_PLAYERS

# Games that begin with a saved state, because it is exact however they were played before: tests/envs/test_atari_games.py.
EXACT = ("alien", "bank-heist", "bowling", "boxing", "demon-attack", "pong", "road-runner", "space-invaders")


@dataclass(frozen=True)
class Protocol:
    """Says how a game is played. Defaults: Machado et al. 2018 for the game (sticky actions, 18 actions, no end at a lost
    life) with the no-ops and the clipped reward of Mnih et al. 2015. ValueError for a value outside its range."""

    observation: str = "pixels"  # 84×84 grey uint8; or "ram": 128 bytes as float32 in [-1, 1], ours, not the paper's
    sticky: float = 0.25  # chance in each frame that the action before is held instead of the new one
    noops: int = 30  # a game starts after 1..noops frames without action; 0: at once
    skip: int = FRAME_SKIP  # frames an action lasts; pixels are the maximum of the last two
    clip_reward: bool = True  # `Step.reward` is the sign of the points; `Step.score` never is clipped
    life_loss: bool = False  # a lost life is `terminated` for the learner; the game goes on all the same
    frames: int = 108_000  # limit on the frames of a game, no-ops included: 30 minutes; its end is `truncated`
    full_actions: bool = True  # all 18 in every game, so that two games share one head; or the game's own

    def __post_init__(self):
        if self.observation not in ("pixels", "ram"):
            raise ValueError(f"observation must be 'pixels' or 'ram', got {self.observation!r}")
        if not 0 <= self.sticky < 1:
            raise ValueError(f"sticky must lie in [0, 1), got {self.sticky}")
        if self.noops < 0 or self.skip < 1 or self.frames <= self.noops:
            raise ValueError(
                f"noops >= 0, skip >= 1 and frames > noops needed, got {self.noops}, {self.skip}, {self.frames}"
            )


@functools.cache
def rom(task):
    """Returns the path of the cartridge of a game: "bank-heist" -> …/bank_heist.bin. ValueError with the nearest name if
    unknown."""
    known = {name.replace("_", "-"): name for name in ale_py.roms.get_all_rom_ids()}
    known = {name: known[name] for name in known if name not in TWO_PLAYERS}
    if task not in known:
        raise ValueError(
            f"unknown Atari game {task!r}: did you mean {difflib.get_close_matches(str(task), known, 1, 0.0)[0]!r}?"
        )
    return ale_py.roms.get_rom_path(known[task])


class Emulator:
    """Plays game after game on one ALE with a cartridge in it: 0, 1, 2 … of a (seed, start).

    A game depends on (task, protocol, seed, start, actions since then) only.
    """

    def __init__(self, task, protocol):
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.ale, self.protocol, self.cartridge = ale_py.ALEInterface(), protocol, rom(task)
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.setInt("max_num_frames_per_episode", protocol.frames)
        self.switch_on()
        self.untouched = self.ale.cloneState(include_rng=True) if task in EXACT else None
        self.screens = np.empty((2, *self.ale.getScreenDims()), np.uint8)
        self.first = self.observed(1)  # kept, because a restored ALE shows nothing new before it has acted

    def switch_on(self):
        """Puts the cartridge in, which forgets everything."""
        self.ale.loadROM(self.cartridge)
        self.ale.reset_game()

    def waiting(self):
        """Draws the number of no-ops at the start of this game from its stream; each step draws `skip` numbers more from it."""
        self.random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, self.start, self.game])))
        number = self.random.random()
        return 1 + int(number * self.protocol.noops) if self.protocol.noops else 0

    def begin(self, seed, start, game):
        """Begins game number `game` of a start -> first observation."""
        self.seed, self.start, self.game, self.actions, self.held = seed, start, game, bytearray(), 0
        if self.untouched:
            self.ale.restoreState(self.untouched)
        else:
            self.switch_on()
        for _ in range(noops := self.waiting()):
            self.ale.act(0)
        self.observation = self.observed(1) if noops else self.first
        return self.observation

    def observed(self, screens):
        """Returns the observation now: memory, or the maximum of the `screens` (1 or 2) last ones; the newest is taken here."""
        if self.protocol.observation == "ram":
            return self.ale.getRAM().astype(np.float32) / np.float32(127.5) - np.float32(1)
        self.ale.getScreenGrayscale(self.screens[0])
        screen = np.maximum(*self.screens) if screens == 2 else self.screens[0]
        return cv2.resize(screen, SCREEN[::-1], interpolation=cv2.INTER_AREA)

    def step(self, action):
        """Plays one action -> points, whether a life was lost, the game is over, it was truncated. Renews `observation`."""
        ale, skip, lives, score, screens = self.ale, self.protocol.skip, self.ale.lives(), 0, 1
        hold = self.random.random(skip) < self.protocol.sticky
        for t in range(skip):
            if not hold[t]:
                self.held = action
            score += ale.act(self.held)
            if ale.game_over():  # by the limit on frames too
                break
            if t == skip - 2 and self.protocol.observation == "pixels":
                ale.getScreenGrayscale(self.screens[1])
                screens = 2
        self.actions.append(action)
        self.observation = self.observed(screens)
        over = ale.game_over(with_truncation=False)
        return score, ale.lives() < lives, over, ale.game_truncated() and not over

    def save(self):
        """Returns (which game, as plain JSON; the actions since it began, a byte each)."""
        return {name: getattr(self, name) for name in ("seed", "start", "game")}, bytes(self.actions)

    def load(self, header, actions):
        """Resumes what `save` returned, in any emulator of the same game and protocol, by replaying the actions."""
        self.begin(**header)
        for action in actions:
            self.step(action)
