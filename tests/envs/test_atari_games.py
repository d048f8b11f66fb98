"""Every cartridge: a game starts alike whatever was played before and goes on exactly elsewhere; which ones may be trained."""

import csv
import hashlib
import subprocess
import sys

import ale_py
import numpy as np
import pytest
import roundtrip
import tiny_run

from nbsp_lib.cli import main
from nbsp_lib.envs.atari import Atari, reference_scores
from nbsp_lib.envs.emulator import EXACT, Emulator, Protocol, rom
from nbsp_lib.envs.sequences import SEQUENCES, TWO_PLAYERS, benchmark_of, tasks_of
from nbsp_lib.runs.settings import ConfigError, cell

# Those whose ALE state is not all of the game's memory or picture, and the pairs that results are shipped of.
ALWAYS = ("qbert", "tetris", "tic-tac-toe-3d", "amidar", "yars-revenge", "boxing", "road-runner")
ROWS = list(csv.DictReader(roundtrip.TABLE.open(encoding="utf-8", newline="")))


@pytest.mark.parametrize(
    "task", [task if task in ALWAYS else pytest.param(task, marks=pytest.mark.slow) for task in roundtrip.GAMES]
)
def test_a_game_starts_alike_and_goes_on_exactly(task):
    """After other games and freshly made; in a new console and in a used one; memory and pixels; 0, 1 and up to 30 no-ops."""
    assert roundtrip.checked(task).all()


@pytest.mark.parametrize("task", EXACT)
def test_a_game_that_begins_with_a_saved_state_begins_alike(task):
    """After 12 histories of up to 800 steps as when the cartridge is put in: memory, picture, points, lives over 100 steps."""
    console, random, actions = Emulator(task, Protocol(noops=1)), np.random.default_rng(1), np.arange(100) * 7 % 18
    assert console.untouched
    anew = Emulator(task, console.protocol)
    anew.untouched = None
    anew.begin(0, 0, 0)
    expected = roundtrip.seen(anew) + roundtrip.seen(anew, actions)
    for length in (*random.integers(1, 60, size=6), *random.integers(100, 800, size=6)):
        console.begin(0, 1, 0), roundtrip.seen(console, random.integers(18, size=length))
        console.begin(0, 0, 0)
        assert roundtrip.alike(expected, roundtrip.seen(console) + roundtrip.seen(console, actions)).all()


def test_the_table_has_every_game_and_all_hold():
    assert [row["game"] for row in ROWS] == roundtrip.GAMES and list(ROWS[0]) == roundtrip.COLUMNS
    assert all(row[name] == "yes" for row in ROWS for name in roundtrip.COLUMNS[2:6])
    assert {row["game"] for row in ROWS if row["scores"] == "yes"} == set(reference_scores()) and len(ROWS) == 104
    states = {row["game"]: row["clone"] for row in ROWS}
    assert all(states[game] == "exact" for game in EXACT)
    assert states["qbert"] == "memory" and states["boxing"] == states["road-runner"] == "exact"


def test_why_ales_own_state_is_not_used():
    """What is believed of ALE 0.12: Q*bert restored is another game, Amidar's first picture is partly that of the game before."""
    assert roundtrip.clone("qbert") == "memory", (
        "ALE's state has been mended: restoring takes less time than playing again"
    )
    assert roundtrip.clone("amidar") == "first picture" and roundtrip.clone("boxing") == "exact"


@pytest.mark.parametrize(
    ("task", "digest"),
    [
        ("boxing", "a1ee3390010df5a372b9fad60c9e58d89d297d10f47191e51f7a2c6b700dae35"),
        ("road-runner", "1cbd8a25455594a84121c13a92913f6670e318838ef0d2b6e81ebb473bef3ec4"),
    ],
)
def test_the_shipped_games_are_played_as_when_their_runs_were_trained(task, digest):
    """Every byte of 1200 steps of four environments from memory, 8 and 24 games; made with the library that trained them."""
    env, told = Atari(task, (0, 5), 2, Protocol(observation="ram", frames=2000)), hashlib.sha256()
    told.update(env.reset(np.array([[0, 1], [2, 2**31 - 1]])).tobytes())
    for action in np.random.default_rng(0).integers(18, size=(1200, 2, 2)):
        for field in env.step(action):
            told.update(field.tobytes())
    assert told.hexdigest() == digest


def test_a_saved_game_is_its_actions():
    """A byte a step, and nothing of the emulator."""
    env = Atari("qbert", (3,), 2, Protocol(observation="ram"))
    env.reset(np.array([[0, 1]]))
    for action in np.arange(10).reshape(5, 1, 2):
        env.step(action)
    (state,) = env.state()
    assert state.split(b"\n", 1)[1] == bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9])
    assert not env.fresh.any()


@pytest.mark.parametrize("task", TWO_PLAYERS)
def test_a_cartridge_for_two_is_not_known(task):
    """ALE ends the process that loads one, and has no word for it; so no name of ours reaches it."""
    path = ale_py.roms.get_rom_path(task.replace("-", "_"))
    program = f"import ale_py; ale_py.ALEInterface().loadROM({str(path)!r})"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode, (
        "ALE plays it alone now"
    )
    for asked in (tasks_of, benchmark_of):
        with pytest.raises(ConfigError, match=f'unknown sequence or task "{task}", nearest valid name: "'):
            asked(task)
    with pytest.raises(ValueError, match="unknown Atari game"):
        rom(task)


@pytest.mark.parametrize(("task", "near"), [("pooyan", "pong"), ("pacman", "ms-pacman"), ("tetris", "tennis")])
def test_a_game_without_published_scores_is_refused_before_it_trains(task, near, capsys):
    """By whatever trains, with one line: its tables could not be made. All of the others can."""
    said = (
        f'of the game "{task}" no published scores are known (data/atari_scores.csv), so no table could show it, '
        f'nearest valid name: "{near}"'
    )
    with pytest.raises(ConfigError) as refused:
        tasks_of(task)
    assert str(refused.value) == f"sequence: {said}"
    with pytest.raises(ConfigError, match="no published scores"):
        cell(tiny_run.games(), task, "nbsp")
    assert main(["run", "--profile", "smoke", "--sequence", task, "--arm", "fine-tuning"]) == 2
    assert f"--sequence: {said}" in capsys.readouterr().err


def test_whatever_may_be_trained_can_be_shown():
    for task in (*reference_scores(), *(task for tasks in SEQUENCES.values() for task in tasks)):
        assert tasks_of(task) == (task,)
        if benchmark_of(task) == "atari":
            assert task in reference_scores()
