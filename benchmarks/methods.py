"""Cost of an update under each arm and method, after its first task end, against plain SAC and neutral NBSP; its memory."""

from __future__ import annotations

import sys
from dataclasses import replace

from benchmarks import common
from nbsp_lib.methods import METHODS, find

PLAIN, NEUTRAL = "sac", "fine-tuning"


def contenders(profile):
    """{name: (method, settings)}: plain SAC, the arms that tables show, and every method that none of them uses, as it comes."""
    arms = {name: (profile.arms[name].method, profile.arms[name].settings) for name in profile.grid.arms}
    return (
        {PLAIN: ("sac", {})}
        | arms
        | {name: (name, {}) for name in METHODS if name not in {m for m, _ in arms.values()}}
    )


def make(method, settings, rows, P=1, device="cpu"):
    """Updates as they are in position 2: a task was finished, so masks are set and replay goes on."""
    common.as_in_training()
    short = replace(common.profile("laptop").train, goal="reward", scoring_episodes=1, episode=20)  # a goal that varies
    trainer = common.filled(short, find(method)(**settings), P, device, rows)
    finish(trainer)

    def work():
        trainer.update(trainer.draws(1))
        return P

    return work


def finish(trainer):
    trainer.method.before_task(trainer.agent, trainer.task, "train")
    trainer.method.after_task(trainer.agent, trainer.task, trainer.context)
    trainer.method.before_task(trainer.agent, 1, "train")


def memory(method, settings):
    """(bytes of the method's state, bytes of the agent: parameters, moments, target) of one seed."""
    trainer = common.filled(common.profile("laptop").train, find(method)(**settings))
    total = lambda tensors: sum(t.nbytes for t in tensors.values())
    return total(trainer.method.state), total(trainer.agent.tensors())


def main(argv=None):
    def population(parser):
        parser.add_argument(
            "--population", type=common.positive(int), default=1, help="seeds trained together (default 1)"
        )

    options = common.options("methods", __doc__, argv, devices=("cpu", "cuda"), add=population)
    P, known = options.population, contenders(common.profile("laptop"))
    for task in ("window-open", "window-close"):
        common.warm_environments(task, 1)
    replay = common.rows_of(options, P)
    rates, core = common.contest(
        {name: (make, *how, replay, P, options.device) for name, how in known.items()}, options
    )
    told = []
    for name, how in known.items():
        state, agent = memory(*how)
        told.append(
            {
                "arm": name,
                "method": how[0],
                "ms": 1e3 * options.processes * P / common.median(rates[name]),
                "plain": common.median(rates[PLAIN] / rates[name]),
                "neutral": common.median(rates[NEUTRAL] / rates[name]),
                "lowest": float((rates[NEUTRAL] / rates[name]).min()),
                "highest": float((rates[NEUTRAL] / rates[name]).max()),
                "state": state,
                "agent": agent,
            }
        )
    columns = {
        "arm": "arm",
        "method": "method",
        "ms": "ms an update",
        "plain": "cost against plain",
        "neutral": "against neutral",
        "lowest": "lowest",
        "highest": "highest",
        "state": "method bytes a seed",
        "agent": "agent bytes a seed",
    }
    title = (
        f"Updates with the laptop profile's settings in position 2, {P} seed(s) together, {options.processes} process(es), "
        f"{options.device}"
    )
    common.publish("methods", options, core, [common.table(title, columns, told)])


if __name__ == "__main__":
    sys.exit(main())
