"""The neuron explorer of the site: what notebook 03 shows with a kernel, as data for site/static/explorer.js.

A plotting library in the page (bokeh, vega: about 1 MB each) beside the activations and films (0.8 MB) would come near 2 MB, and
the page needs one line, one shade and one picture; so it draws them itself.
"""

from __future__ import annotations

import base64
import json
from functools import cache

import numpy as np

from nbsp_lib.teaching.explorer import FILMS, best, watch

ORDER = ("learned", "forgotten", "nbsp")


def packed(activations, numbers) -> dict:
    """Activations [T, W] of the neurons `numbers` as bytes: 255 is a neuron's largest value, which `top` says."""
    chosen = activations[:, numbers].T
    top = chosen.max(1)
    levels = np.round(255 * chosen / np.maximum(top, 1e-9)[:, None]).astype(np.uint8)
    return {"top": [round(float(t), 4) for t in top], "levels": base64.b64encode(levels.tobytes()).decode()}


@cache
def films() -> list:
    """A dictionary for each shipped film: its strip, its success [T], and for each network and layer the firing neurons, best
    score first, with scores (null where nothing could be scored) and activations."""
    found = []
    for name in sorted(
        (path.stem for path in FILMS.glob("film-*.json")), key=lambda name: ORDER.index(name.split("-")[-1])
    ):
        episode, about = watch(name), json.loads((FILMS / f"{name}.json").read_text(encoding="utf-8"))
        networks = {}
        for network, layers in episode.activations.items():
            networks[network] = []
            for i, activations in enumerate(layers):
                numbers, scores = best(episode, network, i + 1), episode.scores[network][i]
                known = [None if np.isnan(scores[n]) else round(float(scores[n]), 4) for n in numbers]
                shown = {"neurons": numbers, "scores": known, "width": len(scores)}
                networks[network].append(shown | packed(activations, numbers))
        strip = base64.b64encode((FILMS / f"{name}.png").read_bytes()).decode()
        found.append(
            {
                "caption": about["caption"],
                "steps": about["steps"],
                "base": round(episode.base, 4),
                "success": [int(s > 0) for s in episode.success],
                "networks": networks,
                "strip": f"data:image/png;base64,{strip}",
            }
        )
    return found
