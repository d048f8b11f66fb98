"""Compiles the update and the choice of actions: on a GPU one captured graph each, on a CPU plain or compiled calls."""

from __future__ import annotations

import os
import shutil
import sys
import types

import torch


def cpp_compiler():
    """Returns the path of the C++ compiler that torch.compile would call on this CPU, or None."""
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++"))


def compiled(function, state, examples):
    """Compiles `function` of the tensors `examples` for one core of this CPU -> a call with tensors of those shapes. Prints
    one line with the reason and returns None if that is impossible here.

    As in `captured`, all other tensors keep their addresses, and `state` is restored after the run that compiles. A call
    checks nothing: whatever is no tensor argument is as it was at the first call. No code is chosen by timing, so every
    process of a machine gets the same bits.
    """
    if not cpp_compiler():
        return print("not compiled: there is no C++ compiler (g++, clang++, or what CXX names)", flush=True)
    kept = {k: t.clone() for k, t in state.items()}
    # torch keeps compiled code with the code object; without guards another Trainer would get it, so this is a copy
    own = types.FunctionType(
        function.__code__.replace(), function.__globals__, function.__name__, None, function.__closure__
    )
    options = {"guard_filter_fn": lambda guards: [False for _ in guards], "cpp_wrapper": True, "cpp.threads": 1}
    call = torch.compile(own, fullgraph=True, dynamic=False, options=options)
    try:
        call(*examples)
    except torch._dynamo.exc.TorchDynamoException as error:  # of tracing and of Inductor; nothing has been run
        return print(f"not compiled: {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}", flush=True)
    for k, t in state.items():
        t.copy_(kept[k])
    return call


def captured(function, state, examples):
    """Compiles `function` of the tensors `examples` and captures it as one CUDA graph -> a call with tensors of those shapes.

    All else that the function reads or writes must keep its address: it is `state`, name -> tensor, which is restored after
    the warm-up runs. The next call overwrites what a call returns. Nothing here waits for the GPU.
    """
    inputs = [t.clone() for t in examples]
    kept = {k: t.clone() for k, t in state.items()}
    traced, side, graph = (
        torch.compile(function, fullgraph=True, dynamic=False),
        torch.cuda.Stream(),
        torch.cuda.CUDAGraph(),
    )
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            traced(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph, stream=side):
        outputs = traced(*inputs)
    for k, t in state.items():
        t.copy_(kept[k])

    def call(*tensors):
        for here, new in zip(inputs, tensors):
            here.copy_(new, non_blocking=True)
        graph.replay()
        return outputs

    return call
