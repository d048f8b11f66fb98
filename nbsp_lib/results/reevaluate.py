"""Rolls shipped networks out again: measures recorded results once more, and scores and silences single neurons."""

from __future__ import annotations

import pandas as pd

from nbsp_lib.envs.performance import performance
from nbsp_lib.envs.sequences import distinct
from nbsp_lib.results.neuron_tables import NEURON_COLUMNS, neuron_rows, silence_rows
from nbsp_lib.runs.state import load_agent
from nbsp_lib.training.rollout import episodes_of, play

REROLL_COLUMNS = [
    "sequence",
    "arm",
    "seed",
    "position",
    "task",
    "episodes",
    "recorded",
    "rerolled",
    "difference",
    "return_recorded",
    "return_rerolled",
]
SILENCE_COLUMNS = ["arm", "seed", "position", "task", "choice", "draw", "neurons", "activity", "success"]


def reroll_rows(result, of_each=0):
    """The last network of each seed on every distinct task, against the last recorded evaluation: REROLL_COLUMNS.

    of_each: so many seeds, the first ones; 0: all. The same episodes as were recorded (evaluate.episodes_of); success at any
    step. A seed without a network has a row without numbers.
    """
    config, rows = result.run["config"], []
    for seed in result.run["seeds"][: of_each or None]:
        shipped = [k for k in result.networks(seed) if k <= result.finished(seed)]
        position = max(shipped, default=None)
        agent, method = load_agent(result.folder, position, [seed], result.run) if shipped else (None, None)
        at = result.curves[(result.curves.seed == seed) & (result.curves.position == position)]
        for task in distinct(config["tasks"]):
            row = {"sequence": config["sequence"], "arm": result.arm, "seed": seed, "position": position, "task": task}
            if agent:
                was = at[(at.task == task) & (at.step == at.step.max())].iloc[0]
                numbers = episodes_of(config["train"], at[at.step > 0].step.nunique())
                played = play(agent, task, [seed], len(numbers), config["train"], method=method, goals=numbers)
                success, _, gained = (float(found) for found in played.outcome())
                success = performance(task, success, gained, config["train"]["episode"])
                row |= {
                    "episodes": len(numbers),
                    "recorded": was.success,
                    "rerolled": success,
                    "difference": round(success - was.success, 6) + 0.0,  # recorded with 6 digits; no -0.0
                    "return_recorded": was["return"],
                    "return_rerolled": gained,
                }
            rows.append(row)
    return pd.DataFrame(rows, columns=REROLL_COLUMNS)


def agents(result):
    """(seed, position, task, agent, method) for every shipped network of a result that has its critics."""
    for seed in result.run["seeds"]:
        for position in result.networks(seed):
            agent, method = load_agent(result.folder, position, [seed], result.run)
            if agent.critic:
                yield seed, position, result.run["config"]["tasks"][position - 1], agent, method


def score_neurons(result, episodes, share):
    """Every neuron of every shipped network of a result, scored on the task just trained: NEURON_COLUMNS, maybe empty.

    episodes: of the rollout, goal e in episode e; of games, as many as in training instead. share: of the neurons chosen.
    The goal metric is that of training.
    """
    train, frames = result.run["config"]["train"], []
    for seed, position, task, agent, method in agents(result):
        count = train["scoring_episodes"] if train["goal"] == "return" else episodes
        played = play(agent, task, [seed], count, train, hidden=True, method=method)
        frames.append(
            neuron_rows(played, train["goal"], share).assign(seed=seed, arm=result.arm, position=position, task=task)
        )
    return pd.concat(frames, ignore_index=True)[NEURON_COLUMNS] if frames else pd.DataFrame(columns=NEURON_COLUMNS)


def silence_neurons(result, neurons, episodes, draws):
    """Silencing in every shipped actor of a result: SILENCE_COLUMNS, empty if nothing is shipped or scored.

    neurons: the rows of score_neurons; episodes: of each rollout; draws: random sets of neurons to compare with.
    """
    frames = []
    for seed, position, task, agent, method in agents(result):
        here = neurons[(neurons.arm == result.arm) & (neurons.seed == seed) & (neurons.position == position)]
        actor = here[here.network == "actor"].sort_values(["layer", "neuron"])
        train = result.run["config"]["train"]
        count = train["scoring_episodes"] if train["goal"] == "return" else episodes
        rows = silence_rows(agent, method, task, seed, count, train, actor, draws)
        frames += [rows.assign(arm=result.arm, seed=seed, position=position, task=task)] if len(rows) else []
    return pd.concat(frames, ignore_index=True)[SILENCE_COLUMNS] if frames else pd.DataFrame(columns=SILENCE_COLUMNS)
