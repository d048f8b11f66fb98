"""The captured update on a GPU against the CPU; and, without one, that the loop bears what a captured graph does."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny
import tiny_run
import torch

import nbsp_lib.training.trainer
from nbsp_lib.core import compilation, sac
from nbsp_lib.core.rng import generators, restore
from nbsp_lib.methods.nbsp import NBSP

cuda = pytest.mark.cuda
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU")


def imitation(function, state, examples):
    """What compilation.captured promises, on a CPU: inputs are copied, outputs are overwritten by the next call."""
    inputs, outputs = [t.clone() for t in examples], []

    def call(*tensors):
        for here, new in zip(inputs, tensors):
            assert here.shape == new.shape and here.dtype == new.dtype, "a captured graph takes one shape"
            here.copy_(new)
        made = function(*inputs)
        if not outputs:
            outputs.append(made)
        elif made is not None:
            outputs[0].copy_(made)
        return outputs[0]

    return call


@pytest.mark.parametrize("arm, graphs", [("nbsp", 4), ("packnet", 4), ("upgd", 2), ("cbp", 2)])
def test_the_loop_bears_graphs(arm, graphs, tmp_path, monkeypatch):
    """Trained through the GPU's path with an imitation of its graphs, a run has the bytes of the plain one. There are an
    update and a choice of actions, of the shared position 1 (if there is one) and of the run."""
    plain = tiny_run.contents(tiny_run.train(tmp_path / "plain", seeds=(0, 1), population=2, arm=arm))
    made = []
    monkeypatch.setattr(nbsp_lib.training.trainer, "captured", lambda *args: made.append(args) or imitation(*args))
    assert (
        tiny_run.contents(tiny_run.train(tmp_path / "graphs", seeds=(0, 1), population=2, device="cpu:0", arm=arm))
        == plain
    )
    assert len(made) == graphs


@cuda
@needs_gpu
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_the_captured_update_is_that_of_the_cpu(seeds):
    """30 updates with a task end in between; the warm-up of the graph leaves no trace. Tolerance: fp32 sums in another order."""

    def trained(device):
        method, calls = NBSP(replay_every=3), []
        agent, replay = tiny.make(method, seeds, device=device)
        learn = lambda *draws: sac.update_from_rows(agent, replay, *draws[:2], {"sac": draws[2]}, method, tiny.SETTINGS)
        for purpose in (3, 4):
            for drawn in zip(*(t.to(device) for t in tiny.draws(replay, seeds, 15, purpose=purpose))):
                if device == "cuda" and not calls:
                    calls.append(compilation.captured(learn, agent.tensors() | method.state, drawn))
                (calls[0] if calls else learn)(*drawn)
            method.after_task(agent, 0, tiny.random_world(agent, seeds))
        return {k: t.cpu() for k, t in tiny.everything(agent, method).items()}

    torch.testing.assert_close(trained("cuda"), trained("cpu"), rtol=1e-3, atol=1e-4)


@cuda
@needs_gpu
def test_noise_of_a_method_is_drawn_on_the_gpu_alike_in_any_population_and_after_a_resume():
    def drawing(seeds):
        trainer = SimpleNamespace(
            device="cuda", streams={"method": [generators(seed, "cuda")["method"] for seed in seeds]}
        )
        return trainer, lambda: nbsp_lib.training.trainer.Trainer.draw(
            trainer, torch.randn, "method", 2, 300, 7, axis=1
        )

    trainer, draw = drawing((0, 1))
    first = draw()
    assert first.is_cuda and first.shape == (2, 2, 300, 7) and not torch.equal(first[:, 0], first[:, 1])
    assert abs(first.mean()) < 0.06 and abs(first.std() - 1) < 0.06  # 6 standard errors
    saved = [g.get_state() for g in trainer.streams["method"]]
    assert all(state.device.type == "cpu" for state in saved)
    later, (alone, again) = draw(), drawing((1,))
    assert torch.equal(again()[:, 0], first[:, 1])
    restore(alone.streams["method"][0], saved[1])
    assert torch.equal(again()[:, 0], later[:, 1])
    for device, other in (("cpu", "cuda"), ("cuda", "cpu")):  # a state that changes its device
        moved = [generators(0, device)["method"] for _ in range(2)]
        for g in moved:
            restore(g, generators(0, other)["method"].get_state())
        assert torch.equal(*(torch.randn(5, generator=g, device=device) for g in moved))


@cuda
@needs_gpu
def test_a_run_on_a_gpu_writes_what_a_run_on_a_cpu_writes(tmp_path):
    """The same files and rows; numbers only as far as chaos lets them be the same: the start, before anything was learned."""
    out = [tiny_run.train(tmp_path / device, seeds=(0, 1), population=2, device=device) for device in ("cuda", "cpu")]
    assert {p.name for p in out[0].iterdir()} == {p.name for p in out[1].iterdir()}
    there, here = (pd.read_csv(folder / "curves.csv") for folder in out)
    columns = ["seed", "position", "task", "step", "updates", "episodes"]
    pd.testing.assert_frame_equal(there[columns], here[columns])
    start = here.total_step == 0
    assert np.allclose(there["return"][start], here["return"][start], rtol=0.02)
