"""From a trainer to the saved states of its seeds, and back: everything needed to resume exactly."""

from __future__ import annotations

from functools import partial

import torch

from nbsp_lib.core.rng import restore
from nbsp_lib.training.provenance import trained_here


def tensors(trainer):
    """Returns name -> tensor with a leading P, of all that learns: networks, the method's state, the replay."""
    named = trainer.agent.tensors() | {f"method.{k}": t for k, t in trainer.method.state.items()}
    return named | trainer.replay.tensors()


def save(trainer, states):
    """Saves each seed's own part of everything, so that seeds can be regrouped later; seeds that have left are skipped."""
    named, games = tensors(trainer), trainer.collector.states()
    for p, state in [(p, states[p]) for p in trainer.here]:
        mine = {k: t[p] for k, t in named.items()} | {
            f"stream.{k}": g[p].get_state() for k, g in trainer.streams.items()
        }
        if games:
            mine["games"] = torch.frombuffer(bytearray(games[p]), dtype=torch.uint8)
        info = {
            "seed": trainer.seeds[p],
            "position": trainer.position,
            "round": trainer.round,
            "stored": trainer.replay.tasks,
            "over": trainer.position < len(trainer.positions) and trainer.over(p),
            "taken": trainer.taken[p],
            "seconds": trainer.seconds[p],
            "compiled": trainer.compiled,
        }
        info |= trained_here(trainer.device, len(trainer.seeds), state.manifest)
        state.save(
            mine,
            info | {name: rows[p] for name, rows in trainer.tables.items()},
            partial(trainer.replay.rows_so_far, p),
        )


def load(trainer, states):
    """Puts a trainer where its seeds were when `states` were saved."""
    loaded, trainer.left = [state.load() for state in states], set()
    trainer.replay.seen = len(loaded[0][2])  # the place of the newest frames depends on it
    named = tensors(trainer)
    trainer.collector.resume = [mine["games"].numpy().tobytes() for mine, *_ in loaded if "games" in mine]
    for p, (mine, info, rows) in enumerate(loaded):
        for k, t in named.items():
            here = t[p, :, : mine[k].shape[1]] if k == "stored" else t[p]  # the method's columns are the last ones
            if k in mine or not k.startswith("method."):  # a fork of plain SAC has neither them nor its state
                here.copy_(mine[k])
        for k, gens in trainer.streams.items():
            restore(gens[p], mine[f"stream.{k}"])
        trainer.replay.restore_rows(p, rows)
        trainer.position, trainer.round, trainer.replay.tasks = info["position"], info["round"], list(info["stored"])
        trainer.seconds[p], trainer.taken[p] = info["seconds"], info["taken"]
        trainer.compiled |= info["compiled"]
        for name, kept in trainer.tables.items():
            kept[p] = info[name]
