"""Shows what skill neurons of convolutional networks see: filters scored on whole games, their maps laid over the pictures.

One seed at a time. N moments, W filters of a layer, H the side of a picture, h that of a map.
"""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import torch

from nbsp_lib.core.conv import LAYERS
from nbsp_lib.core.frame_replay import FrameStack
from nbsp_lib.core.rng import generators
from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.results.neuron_tables import neuron_rows
from nbsp_lib.results.style import DARK, panels


def filter_rows(played, share):
    """Rows of the actor's filters from neuron_tables.neuron_rows: layer, neuron, score, chosen, …; played: GameRollout of one
    seed with hidden activations; share: of all hidden neurons of the network that are chosen."""
    rows = neuron_rows(played, "return", share)
    return rows[(rows.network == "actor") & (rows.layer <= len(LAYERS))].reset_index(drop=True)


@torch.no_grad()
def watched(agent, method, task, seed, train, at):
    """One game played by the agent's policy: the newest pictures [len(at), H, H] uint8 and the actor's maps of each layer,
    a list of [len(at), W, h, h], at the steps `at`. ValueError if the game ended before the last of them."""
    train = SimpleNamespace(**train)
    env, show = benchmark((task,), train).make(task, (seed,), 2, train.episode), FrameStack()
    pictures, maps, chance = [], [], generators(seed)["evaluation"]
    obs, began = show(torch.from_numpy(env.reset(np.array([[0, 1]]))), None), False
    for t in range(max(at) + 1):
        noise = torch.randn(2, agent.head.act_dim, generator=chance)[None]
        action, _, hidden = agent.head.act(method, agent.actor, agent.actor.params, obs, noise)
        if t in at:
            pictures.append(obs[0, 0, -1].numpy())
            maps.append([layer[0, 0, 0].numpy() for layer in hidden[: len(LAYERS)]])
        stepped = env.step(action[..., 0].numpy())
        began |= bool(stepped.began[0, 0])
        obs = show(torch.from_numpy(stepped.observation), torch.from_numpy(stepped.began))
    if began:
        raise ValueError(f"the game of {task} ended before step {max(at)}; ask for earlier steps")
    return np.stack(pictures), [np.stack(layer) for layer in zip(*maps)]


def picked(rows, each=1):
    """Of every layer the `each` best filters by the paper's score and then by the balanced one, of those that fire at all:
    rows of `filter_rows` and the column `by`, "paper" or "balanced"."""
    alive, found = rows[rows.mean_activation > 0], []
    for by, column in (("paper", "score"), ("balanced", "balanced")):
        best = alive.sort_values(["layer", column, "neuron"], ascending=[True, False, True], kind="stable")
        found.append(best.groupby("layer", sort=True).head(each).assign(by=by))
    return pd.concat(found).sort_values("layer", kind="stable").reset_index(drop=True)


def overlay(rows, pictures, maps, at, title):
    """A row a filter, a column a moment: the picture in grey, the filter's map laid over it in colour, as bright as it fires.

    rows: from `picked`; pictures, maps, at: see `watched`. Colours of a row share one scale, 0 to its largest activation."""
    figure, axes = panels(len(rows) + 1, len(at), 1.55, 1.5, title)
    for column, (step, picture) in enumerate(zip(at, pictures)):
        axes[0, column].imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes[0, column].set_title(f"step {step}", fontsize=8, color=DARK)
    axes[0, 0].set_ylabel("what the\nagent sees", fontsize=8)
    for line, row in zip(axes[1:], rows.itertuples()):
        shown = maps[row.layer - 1][:, row.neuron]  # [N, h, h]
        top = max(float(shown.max()), 1e-9)
        for ax, picture, one in zip(line, pictures, shown):
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
            large = cv2.resize(one, picture.shape[::-1], interpolation=cv2.INTER_LINEAR) / top
            ax.imshow(large, cmap="inferno", vmin=0, vmax=1, alpha=0.15 + 0.7 * large)
        score, held = (row.score, row.chosen) if row.by == "paper" else (row.balanced, row.chosen_balanced)
        line[0].set_ylabel(
            f"layer {row.layer}, no. {row.neuron}\n{row.by} {score:.2f}\n{'held' if held else 'free'}", fontsize=8
        )
    for ax in axes.flat:
        ax.set_xticks([])
        ax.set_yticks([])
        for side in ax.spines.values():
            side.set_visible(False)
    return figure


def summary(rows):
    """One row a layer: filters, how many are chosen, mean score of all and of the chosen, base rate, silent ones."""
    of = rows.groupby("layer")
    made = pd.DataFrame(
        {
            "filters": of.size(),
            "chosen": of.chosen.sum(),
            "mean score": of.score.mean(),
            "mean score of the chosen": rows[rows.chosen.astype(bool)].groupby("layer").score.mean(),
            "base rate": of.base_rate.first(),
            "silent": of.mean_activation.agg(lambda a: (a == 0).sum()),
        }
    )
    return made.reset_index()
