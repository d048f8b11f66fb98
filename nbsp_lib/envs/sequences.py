"""The tasks of each sequence and their benchmark, known without importing a simulator."""

from __future__ import annotations

import functools

from nbsp_lib.errors import ConfigError, nearest, one_of

CW10 = (
    "hammer",
    "push-wall",
    "faucet-close",
    "push-back",
    "stick-pull",
    "handle-press-side",
    "push",
    "shelf-place",
    "window-close",
    "peg-unplug-side",
)  # Continual World (Wołczyk et al. 2021), in its order

# The cycling sequences. Of Meta-World, the pairs window and drawer are the paper's, cw10 and cw20 those of Continual World, of
# Atari bowling-pong and bank-heist-alien are the paper's; the others and the order are ours. Why these games:
# nbsp_lib/envs/atari.py, why these of the DeepMind Control Suite: nbsp_lib/envs/dmc.py.
_OF = {
    "metaworld": {
        "window": ("window-open", "window-close") * 2,
        "window-once": ("window-open", "window-close"),  # ours: one switch, see profiles/retention
        "drawer": ("drawer-open", "drawer-close") * 2,
        "faucet-once": ("faucet-open", "faucet-close"),
        "faucet": ("faucet-open", "faucet-close") * 2,
        "button-window": ("button-press-topdown", "window-open") * 2,
        "four": ("window-open", "window-close", "drawer-open", "drawer-close") * 2,
        "window-reversed": ("window-close", "window-open") * 2,
        "drawer-reversed": ("drawer-close", "drawer-open") * 2,
        "cw10": CW10,
        "cw20": CW10 * 2,
    },
    "atari": {
        "boxing-road-runner": ("boxing", "road-runner") * 2,
        "bowling-pong": ("bowling", "pong") * 2,
        "bank-heist-alien": ("bank-heist", "alien") * 2,
        "space-invaders-demon-attack": ("space-invaders", "demon-attack") * 2,
    },
    "dmc": {
        "cartpole": ("cartpole-balance", "cartpole-swingup") * 2,
        "reacher": ("reacher-easy", "reacher-hard") * 2,
        "walker": ("walker-stand", "walker-walk") * 2,
    },
}
TWO_PLAYERS = ("combat", "joust", "maze-craze", "warlords")  # cartridges for two: ALE ends the process that loads one
SEQUENCES = {name: tasks for sequences in _OF.values() for name, tasks in sequences.items()}


def tasks_of(sequence, key="sequence") -> tuple[str, ...]:
    """Returns the task at each position [K]. A single task is a sequence of one: of Meta-World v3 (without that suffix), an
    Atari game ("bank-heist"), or of the DeepMind Control Suite ("cartpole-balance"). Everything that trains asks here.

    ConfigError with the nearest name, also for a game without published scores: no table could show what was trained.
    """
    if sequence in SEQUENCES:
        return SEQUENCES[sequence]
    if benchmark_of(sequence, key) == "atari":
        from nbsp_lib.envs.atari import reference_scores

        scores = reference_scores()
        if sequence not in scores:
            raise ConfigError(
                f'{key}: of the game "{sequence}" no published scores are known (data/atari_scores.csv), so no '
                f"table could show it, {nearest(sequence, scores) if scores else 'that file is in a clone only'}"
            )
    return (sequence,)


@functools.cache
def benchmark_of(task, key="task"):
    """Returns the benchmark of a task: "metaworld", "atari" or "dmc". ConfigError with the nearest name."""
    for benchmark, sequences in _OF.items():  # known without importing a simulator
        if any(task in tasks for tasks in sequences.values()):
            return benchmark
    import ale_py
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    from nbsp_lib.envs.atari import reference_scores
    from nbsp_lib.envs.dmc import TASKS

    tasks = {name.removesuffix("-v3"): "metaworld" for name in ALL_V3_ENVIRONMENTS}
    games = {name.replace("_", "-") for name in ale_py.roms.get_all_rom_ids()}
    tasks |= dict.fromkeys(sorted(games.difference(TWO_PLAYERS)), "atari")
    tasks |= dict.fromkeys(TASKS, "dmc")
    if task not in tasks:  # what is offered instead can be trained
        one_of(task, [*SEQUENCES, *tasks.keys() - games, *reference_scores()], "sequence or task", key)
    return tasks[task]


def distinct(tasks) -> tuple[str, ...]:
    """Returns the distinct tasks [M], in order of first visit."""
    return tuple(dict.fromkeys(tasks))
