"""Any neuron's activation along an episode, beside the film of the same episode: a picture, and a widget to choose with.

The film is shipped (docs/films, made by nbsp_lib.teaching.film), so looking needs no renderer; the activations are measured here.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.image import imread

from nbsp_lib.core.neurons import base_rate, skill_scores
from nbsp_lib.results.style import DARK, GREY, PALETTE, panels
from nbsp_lib.runs.state import load_agent
from nbsp_lib.teaching.draw import show
from nbsp_lib.training.rollout import WAVE, rollout

FILMS = Path("docs/films")


@dataclass(frozen=True)
class Episode:
    """activations {network: [layers][T, W]} and success [T] of one episode; scores {network: [layers][W]} over all episodes
    of the rollout, NaN if nothing could be scored; base: score of a silent neuron; film: pictures at `steps`."""

    activations: dict
    success: np.ndarray
    scores: dict
    base: float
    film: np.ndarray
    steps: tuple


def watch(name="film-window-open-learned"):
    """The Episode of a shipped film, its agent rolled out again. Each film has a json beside it that says whose it is."""
    about = json.loads((FILMS / f"{name}.json").read_text())
    agent, method = load_agent(about["folder"], about["position"], [about["seed"]])
    played = rollout(agent, about["task"], [about["seed"]], WAVE, about["episode"], hidden=True, method=method)
    T, e = about["episode"], about["goal"]
    goal = played.goal("success")
    varies = bool(goal.max() > goal.min())
    activations, scores = {}, {}
    for net, layers in played.hidden.items():
        for c in range(layers[0].shape[1]):
            key = net if layers[0].shape[1] == 1 else f"{net}{c}"
            activations[key] = [h[0, c, e * T : (e + 1) * T].numpy() for h in layers]
            scores[key] = [
                skill_scores(h[:, c], goal)[0].numpy() if varies else np.full(h.shape[-1], np.nan) for h in layers
            ]
    film = imread(FILMS / f"{name}.png")
    n = len(about["steps"])
    film = np.stack(np.split(film[:, : film.shape[1] // n * n], n, axis=1))
    return Episode(
        activations, played.success[0, e].numpy(), scores, float(base_rate(goal)), film, tuple(about["steps"])
    )


def best(episode, network, layer):
    """Numbers of the neurons of a layer (from 1) that fire in the episode, best score first."""
    alive = episode.activations[network][layer - 1].max(0) > 0
    order = np.argsort(-np.nan_to_num(episode.scores[network][layer - 1]), kind="stable")
    return [int(i) for i in order if alive[i]] or [0]


def picture(episode, network="actor", layer=1, neuron=0, step=0):
    """The film above; below it the neuron's activation, its mean, and where the goal is reached; a line at `step`."""
    a, n = episode.activations[network][layer - 1][:, neuron], len(episode.steps)
    figure, axes = panels(
        2,
        1,
        9.0,
        1.7,
        f"{network}, layer {layer}, neuron {neuron}: score "
        f"{episode.scores[network][layer - 1][neuron]:.2f}; a silent neuron has {episode.base:.2f}",
    )
    top, below = axes[:, 0]
    width = len(a) / n
    for i, (image, at) in enumerate(zip(episode.film, episode.steps)):
        top.imshow(image, extent=(i * width, (i + 1) * width, 0, width * image.shape[0] / image.shape[1]))
        top.text((i + 0.5) * width, -width * 0.12, f"step {at}", ha="center", va="top", fontsize=7, color=DARK)
    top.set_xlim(0, len(a))
    top.set_ylim(-width * 0.2, width * image.shape[0] / image.shape[1])
    top.axis("off")
    high, reached = max(a.max(), 1e-9), episode.success > 0
    below.fill_between(range(len(a)), 0, high, where=reached, color=PALETTE[2], alpha=0.2, lw=0, step="mid")
    if reached.any():
        below.text(int(np.argmax(reached)), 0.08 * high, " goal reached", color=PALETTE[2], fontsize=8, va="bottom")
    below.plot(a, color=PALETTE[0], lw=1.5)
    below.axhline(a.mean(), color=GREY, lw=1, ls="--")
    below.text(len(a) - 1, a.mean(), "its mean ", color=GREY, fontsize=8, ha="right", va="bottom")
    below.axvline(step, color=PALETTE[3], lw=1)
    below.text(step, 0, f" {a[step]:.2f}", color=PALETTE[3], fontsize=8, va="bottom")
    below.set_xlim(0, len(a))
    below.set_xlabel("step of the episode", fontsize=8)
    below.set_ylabel("activation", fontsize=8)
    return figure


def explore(episode):
    """A widget with the network, layer, neuron (by rank of its score) and step to choose; usable by keyboard: Tab and arrows.

    Where notebooks are executed without a reader (papermill, the report), nothing: a widget lives only with its kernel.
    """
    if os.environ.get("TQDM_DISABLE"):
        print("An explorer is here when the notebook runs in JupyterLab: choose network, layer, neuron and step.")
        return None
    import ipywidgets as widgets
    from IPython.display import display

    T = len(episode.success)
    network = widgets.Dropdown(options=list(episode.activations), description="network")
    layer = widgets.IntSlider(1, 1, len(episode.activations["actor"]), description="layer")
    rank = widgets.IntSlider(0, 0, 0, description="rank")
    step = widgets.IntSlider(0, 0, T - 1, description="step")
    out = widgets.Output()

    def draw(_=None):
        order = best(episode, network.value, layer.value)
        rank.max = len(order) - 1
        with out:
            out.clear_output(wait=True)
            display(show(picture(episode, network.value, layer.value, order[rank.value], step.value)))

    for each in (network, layer, rank, step):
        each.observe(draw, "value")
    draw()
    return widgets.VBox([widgets.HBox([network, layer]), widgets.HBox([rank, step]), out])
