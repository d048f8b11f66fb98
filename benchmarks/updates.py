"""Gradient updates per second, for all seeds together, against plain SAC and against what the matrix products cost alone."""

from __future__ import annotations

import sys
from dataclasses import replace

import torch

from benchmarks import common
from benchmarks.plain_sac import ACTOR_EVERY, PlainSAC
from nbsp_lib.core.compilation import cpp_compiler
from nbsp_lib.envs.metaworld import MetaWorld
from nbsp_lib.methods import METHODS

OBS, ACT, WIDTH = MetaWorld.obs_dim, MetaWorld.act_dim, 256
LAYERS, SIZES = (
    (WIDTH, WIDTH),
    ((128, 128), (WIDTH, 128), (WIDTH, 256)),
)  # of hidden layers; (width, batch): laptop, …, paper
POPULATIONS = {"cpu": (1, 3, 8), "cuda": (1, 8, 64, 128)}
PLAIN, GEMM, MEDIUM = "plain, 1 seed", "matrix product", "matmul_precision medium"
PORTION = 8  # updates whose chance is drawn together; in training those of a whole round are


def products(obs_dim, act_dim, layers):
    """The matrix products of one update of one seed: (networks, rows, inner, columns) of each; None stands for the batch.

    Target of the critics: forward through the actor and two critics. Critics: forward, then back to their weights and hidden
    inputs. Actor: its own forward and back in the same way, in between through both critics to the action (inputs, no weights).
    """
    actor, critic = [obs_dim, *layers, 2 * act_dim], [obs_dim + act_dim, *layers, 1]
    pairs = lambda sizes: list(zip(sizes[:-1], sizes[1:]))
    forward = lambda C, sizes: [(C, None, a, b) for a, b in pairs(sizes)]
    inputs = lambda C, some: [(C, None, b, a) for a, b in some]
    weights = lambda C, sizes: [(C, a, None, b) for a, b in pairs(sizes)]
    learned = lambda C, sizes: forward(C, sizes) + weights(C, sizes) + inputs(C, pairs(sizes)[1:])
    through = forward(2, critic) + inputs(2, pairs(critic))
    return forward(1, actor) + forward(2, critic) + learned(2, critic) + learned(1, actor) + through


def update_flops(obs_dim, act_dim, layers, batch):
    """Floating-point operations of these products: 2 a multiplication; elementwise work is not counted."""
    return sum(2 * C * (a or batch) * (k or batch) * (b or batch) for C, a, k, b in products(obs_dim, act_dim, layers))


def make_ours(P, width, batch, rows, device, precision="highest", compile=False):
    common.as_in_training()
    train = replace(common.profile("paper").train, layers=(width, width), batch=batch, matmul_precision=precision)
    trainer = common.filled(train, METHODS["sac"](), P, device, rows, compile)

    def work():
        trainer.update(trainer.draws(PORTION))
        return PORTION * P

    return work


def make_plain(width, batch, rows, device):
    agent = PlainSAC(OBS, ACT, width, batch, rows, device)
    for column in agent.buffer.columns[:4]:
        column[:] = torch.rand(column.shape).mul_(2).sub_(1).numpy()
    agent.buffer.added = rows

    def work():
        for _ in range(ACTOR_EVERY):  # so that every portion holds as many actor updates as critic updates
            agent.update()
        return ACTOR_EVERY

    return work


def make_products(P, width, batch, device):
    """The products of an update one after the other, each with operands of its own, and nothing else."""
    size = lambda n: batch if n is None else n
    operands = [
        (torch.rand(P * C, size(a), size(k), device=device), torch.rand(P * C, size(k), size(b), device=device))
        for C, a, k, b in products(OBS, ACT, (width, width))
    ]
    common.as_in_training()

    def work():
        for left, right in operands:
            torch.bmm(left, right)
        return P

    return work


def make_gemm(device):
    """256×256×256 fp32 products; on a GPU 256 of them at once."""
    n = 256 if device == "cuda" else 1
    a, b, out = (torch.rand(n, WIDTH, WIDTH, device=device) for _ in range(3))

    def work():
        for _ in range(10):
            torch.bmm(a, b, out=out) if n > 1 else torch.mm(a[0], b[0], out=out[0])
        return 10 * n * 2 * WIDTH**3

    return work


def main(argv=None):
    options = common.options("updates", __doc__, argv, devices=("cpu", "cuda"))
    rows, cores, compiles = [], [], options.device == "cpu" and not options.quick and bool(cpp_compiler())
    for width, batch in SIZES:
        ours = {
            f"ours, {P} seed{'s' * (P > 1)}": (make_ours, P, width, batch, common.rows_of(options, P), options.device)
            for P in POPULATIONS[options.device]
        }
        P = POPULATIONS[options.device][1]
        ours[f"its products alone, {P} seeds"] = (make_products, P, width, batch, options.device)
        if compiles:
            ours |= {
                f"ours, {P} seed{'s' * (P > 1)}, compiled": (
                    make_ours,
                    P,
                    width,
                    batch,
                    common.rows_of(options, P),
                    "cpu",
                    "highest",
                    True,
                )
                for P in POPULATIONS["cpu"][:2]
            }
        ours[f"ours, {P} seeds, {MEDIUM}"] = (
            make_ours,
            P,
            width,
            batch,
            common.rows_of(options, P),
            options.device,
            "medium",
        )
        others = {
            GEMM: (make_gemm, options.device),
            PLAIN: (make_plain, width, batch, common.rows_of(options), options.device),
        }
        rates, core = common.contest(others | ours, options)
        cores.append(core)
        bound = rates[GEMM] / update_flops(OBS, ACT, (width, width), batch)
        rows += [
            {
                "width": width,
                "batch": batch,
                "what": name,
                **common.against(rates, name, PLAIN),
                "bound": common.median(bound),
                "of_bound": common.median(rates[name] / bound),
                "gflops": common.median(rates[GEMM]) / 1e9,
            }
            for name in (PLAIN, *ours)
        ]
    columns = {
        "width": "width",
        "batch": "batch",
        "what": "who",
        "rate": "seed-updates/s",
        "ratio": "against plain",
        "lowest": "lowest",
        "highest": "highest",
        "bound": "GEMM bound",
        "of_bound": "share of it",
        "gflops": "GFLOP/s",
    }
    title = f"Updates of SAC, two hidden layers, {options.processes} process(es), {options.device}"
    common.publish("updates", options, common.median(cores), [common.table(title, columns, rows)])


if __name__ == "__main__":
    sys.exit(main())
