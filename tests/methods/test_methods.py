"""Every method, held to what all of them must hold to (nbsp_lib/methods/check.py), with settings that make it act at once."""

import inspect
import re
from pathlib import Path

import pytest
import torch

from nbsp_lib.core.method import Method
from nbsp_lib.methods import METHODS
from nbsp_lib.methods import check as conformance
from nbsp_lib.methods.check import CHECKS
from nbsp_lib.methods.trial import HEADS, Trial

BRISK = {
    "nbsp": {"replay_every": 3},
    "ancl": {"refresh": 5},
    "ewc": {"critic": True},
    "clonex": {"critic": True},
    "redo": {"threshold": 0.6, "every": 5},
    "cbp": {"maturity": 2, "rho": 0.06},
    "ne": {"alpha": 0.5, "events": 20},
}
CASES = [pytest.param(check, name, id=f"{name}-{check.__name__}") for name in METHODS for check in CHECKS]


@pytest.mark.parametrize("check, name", CASES)
def test_conformance(check, name):
    make = lambda: METHODS[name](**BRISK.get(name, {}))
    assert [check(make, head) for head in HEADS] == [None, None]


NBSP_SETTINGS = [
    {"ends": "both", "output": "held", "pooled": True, "score": "time"},
    {"ends": "outgoing", "mask": "first-moment", "score": "shuffled"},
    {"ends": "both", "alpha": 0.0, "share": 1.0, "score": "active", "output": "held", "mask": "gradient"},
]


@pytest.mark.parametrize("settings", NBSP_SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
@pytest.mark.parametrize("check", CHECKS)
def test_conformance_of_settings_of_nbsp(check, settings):
    make = lambda: METHODS["nbsp"](replay_every=3, **settings)
    assert [check(make, head) for head in HEADS] == [None, None]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "sac"])
def test_a_method_does_something(name):
    """What is held to so much is not plain SAC under another name."""
    mine, plain = (Trial(make, (0,)).live() for make in (lambda: METHODS[name](**BRISK.get(name, {})), Method))
    assert conformance.differing(mine.agent.tensors(), plain.agent.tensors())


class Crosses(Method):
    def shape_grad(self, net, grads):
        return {k: g - g.mean(0, keepdim=True) for k, g in grads.items()}


class Replaces(Method):
    def start(self, agent, settings):
        self.state["x"] = torch.zeros(len(agent.updates), 1)

    def after_task(self, agent, task, context):
        self.state["x"] = self.state["x"] + 1


class Forgets(Method):
    def __init__(self):
        super().__init__()
        self.rate = 1.0

    def after_task(self, agent, task, context):
        self.rate = 0.5

    def shape_step(self, net, steps, noise):
        return {k: self.rate * s for k, s in steps.items()}


class Branches(Method):
    def shape_step(self, net, steps, noise):
        return {k: s * 2 if s.sum() > 0 else s for k, s in steps.items()}


class Shared(Method):
    def start(self, agent, settings):
        self.state["x"] = torch.zeros(1, 1)


class Raises(Method):
    def after_task(self, agent, task, context):
        raise RuntimeError("boo")


@pytest.mark.parametrize(
    "broken, check, word",
    [
        (Crosses, conformance.seeds_are_independent, "axis 0"),
        (Replaces, conformance.addresses_stay, "copy_"),
        (Forgets, conformance.a_run_resumes_exactly, "self.state"),
        (Branches, conformance.one_graph_serves_all, "torch.compile"),
        (Crosses, conformance.plain_until_the_first_task_end, "forkable"),
        (Shared, conformance.state_is_per_seed, "leading axis"),
    ],
)
def test_each_check_finds_what_it_looks_for(broken, check, word):
    assert word in check(broken, HEADS[0])
    assert check(Method, HEADS[0]) is None


def test_a_hook_that_raises_is_named_with_its_line(capsys):
    assert not conformance.check_method(Raises)
    out = capsys.readouterr().out
    assert "RuntimeError: boo" in out and "test_methods.py, line" in out and out.count("ok  ") >= 1


def test_every_method_has_a_card_that_tells_its_settings_and_needs():
    """docs/methods.md: the overview against the class, and each setting with its default on the card."""
    text = (Path(__file__).parents[2] / "docs/methods.md").read_text()
    overview = {
        name: line
        for line in text.splitlines()
        if line.startswith("| `") and line.count("|") == 6
        for name in re.findall(r"`([\w-]+)`", line.split("|")[1])
    }
    cards = {block.split(":")[0]: block for block in text.split("\n## ")[1:]}
    for name, method in METHODS.items():
        if name == "sac":
            continue
        _, _, _, told, _, shares, _ = overview[name].split("|")
        assert ("yes" in told) == method.needs_task and ("yes" in shares) == method.forkable, name
        card = cards[name]
        for part in (
            "Idea",
            "Formula",
            "Keeps",
            "At a task end",
            "Target network",
            "Decisive setting",
            "Departures",
            "Needs",
        ):
            assert f"**{part}.**" in card, (name, part)
        for setting in inspect.signature(method).parameters.values():
            rows = [
                line for line in card.splitlines() if line.startswith("|") and f"`{setting.name}`" in line.split("|")[1]
            ]
            assert rows, (name, setting.name)
            if isinstance(setting.default, float) and name != "nbsp":
                assert float(rows[0].split("|")[2]) == setting.default, (name, setting.name)
