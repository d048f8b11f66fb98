"""Whether a game starts alike whatever was played before, and goes on exactly elsewhere: of every cartridge that ALE can load.

python tests/roundtrip.py writes data/atari_games.csv, in minutes. What ALE's own saved state does (`clone`) is measured in a
process of its own, because in Tetris it ends that process. How it is met: nbsp_lib/envs/emulator.py.
"""

import csv
import subprocess
import sys
from pathlib import Path

import ale_py
import numpy as np

from nbsp_lib.envs.atari import reference_scores
from nbsp_lib.envs.emulator import Emulator, Protocol, rom
from nbsp_lib.envs.sequences import TWO_PLAYERS

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "data" / "atari_games.csv"
GAMES = sorted({name.replace("_", "-") for name in ale_py.roms.get_all_rom_ids()} - {*TWO_PLAYERS})
NOOPS = (0, 1, 30)
COLUMNS = ["game", "scores", "starts_ram", "starts_pixels", "resumes_ram", "resumes_pixels", "clone"]


def seen(console, actions=None):
    """(memory, picture, all else) of every step of a console; without actions, of where it stands."""
    if actions is None:
        return [(memory(console), console.observation.tobytes(), console.ale.lives())]
    made = []
    for action in actions:
        other = console.step(int(action))
        made.append((memory(console), console.observation.tobytes(), (*other, console.ale.lives())))
    return made


def memory(console):
    """What is observed from memory bytes: nothing of ALE's before it has acted, when a console shows its first observation."""
    return console.ale.getRAM().tobytes() if console.actions or console.ale.getEpisodeFrameNumber() else b""


def alike(a, b):
    """Whether memory and pictures are equal throughout, the two seen from memory bytes and from pixels."""
    return np.array(
        [[x[0] == y[0] and x[2] == y[2], x[1] == y[1] and x[2] == y[2]] for x, y in zip(a, b, strict=True)]
    ).all(0)


def checked(task):
    """[starts, resumes] × [ram, pixels]: whether it holds with 0, 1 and up to 30 no-ops, sticky actions and all."""
    holds, random = np.ones((2, 2), bool), np.random.default_rng(0)
    used = Emulator(task, Protocol())  # plays whatever is played, one game after another
    for number, noops in enumerate(NOOPS):
        protocol, actions = Protocol(noops=noops), random.integers(18, size=180)
        used.protocol = protocol
        fresh = Emulator(task, protocol)
        used.begin(7, number, 3), seen(used, random.integers(18, size=random.integers(1, 200)))
        used.begin(1, number, 0), fresh.begin(1, number, 0)
        first = seen(fresh) + seen(fresh, actions[:100])
        holds[0] &= alike(first, seen(used) + seen(used, actions[:100]))
        saved = fresh.save()
        onward = seen(fresh) + seen(fresh, actions[100:])
        for console in (Emulator(task, protocol), used):
            seen(used, random.integers(18, size=30))
            console.load(*saved)
            holds[1] &= alike(onward, seen(console) + seen(console, actions[100:]))
    return holds


def machine(task):
    """ALE itself, switched on."""
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(rom(task))
    ale.reset_game()
    return ale


def clone(task):
    """What ALE's own saved state gives: "exact", or what differs: the "first picture" only, or "memory" and what follows."""
    random, found = np.random.default_rng(0), "exact"
    actions = random.integers(18, size=300)
    frames = lambda ale, some: [
        (ale.act(int(a)), ale.getRAM().tobytes(), ale.getScreenGrayscale().tobytes()) for a in some
    ]
    used = machine(task)
    for before in (0, 1, 2, 30, 61, 400):
        ale = machine(task)
        frames(ale, random.integers(18, size=before))
        state = ale.cloneState(include_rng=True)
        expected = frames(ale, actions)
        for other in (machine(task), used):
            frames(other, random.integers(18, size=100))
            other.restoreState(ale_py.ALEState(state.serialize()))
            for t, (a, b) in enumerate(zip(frames(other, actions), expected)):
                if a != b:
                    if t or a[:2] != b[:2]:
                        return "memory"
                    found = "first picture"
    return found


def row(task):
    """The line of a game: COLUMNS."""
    told = subprocess.run([sys.executable, __file__, task], capture_output=True, text=True, check=False)
    word = lambda yes: "yes" if yes else "no"
    return [
        task,
        word(task in reference_scores()),
        *map(word, checked(task).ravel()),
        "ends the process" if told.returncode else told.stdout.strip(),
    ]


def main(argv):
    if argv:
        return print(clone(*argv))
    rows = []
    for task in GAMES:
        rows.append(row(task))
        print(*rows[-1], flush=True)
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
