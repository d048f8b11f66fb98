"""The benchmarks: they run and write what they promise; what they compare with is counted; no result is typed."""

import importlib
import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks are not part of the installed package

from benchmarks import common, loop, methods, plain_sac, report, updates  # noqa: E402
from nbsp_lib.core import sac  # noqa: E402
from nbsp_lib.core.method import Method  # noqa: E402

NAMES = ("updates", "environments", "methods", "loop", "scoring", "atari", "cartpole")
README = (ROOT / "benchmarks/README.md").read_text()
# All of them in one process, because importing torch and Meta-World five times would cost more than the measuring.
DRIVER = """
import argparse, contextlib, runpy, sys
out, *names = sys.argv[1:]
for name in names:
    sys.argv = [name, "--quick", "--out", out] + ["--processes", "2"] * (name == "environments")
    with contextlib.suppress(SystemExit):
        runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
from benchmarks import common
try:
    common.contest({"one that fails": (int, "x")}, argparse.Namespace(processes=2, slices=1, seconds=0.01, device="cpu"))
except RuntimeError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmarks") / "results.json"
    done = subprocess.run([sys.executable, "-c", DRIVER, str(out), *NAMES], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {record["benchmark"]: record for record in json.loads(out.read_text())}, done.stdout


def test_every_benchmark_writes_the_rows_it_promises(ran):
    records, printed = ran
    assert tuple(records) == NAMES
    rows = {name: [table["rows"] for table in record["tables"]] for name, record in records.items()}
    assert {(r["width"], r["batch"], r["what"]) for r in rows["updates"][0]} == {
        (*size, who)
        for size in updates.SIZES
        for who in (
            "plain, 1 seed",
            "ours, 1 seed",
            "ours, 3 seeds",
            "ours, 8 seeds",
            "its products alone, 3 seeds",
            "ours, 3 seeds, matmul_precision medium",
        )
    }
    assert {(r["episode"], r["what"]) for r in rows["environments"][0]} == {
        (e, who)
        for e in (200, 500)
        for who in ("plain loop", "ours, 1 environment", "ours, 4 environments", "ours, 12 environments")
    }
    assert {(r["profile"], r["what"]) for r in rows["loop"][0]} == {
        (p, who)
        for p in ("paper", "laptop")
        for who in ("plain script", "ours, 1 seed", "ours, 3 seeds", "ours, 3 seeds, matmul_precision medium")
    }
    assert {r["arm"] for r in rows["methods"][0]} == set(methods.contenders(common.profile("laptop")))
    assert [r["arm"] for r in rows["scoring"][0]] == ["nbsp", "nbsp-balanced"]
    assert [{(r["observation"], r["what"]) for r in table} for table in rows["atari"]] == [
        {(seen, who) for seen in ("ram", "pixels") for who in whos}
        for whos in (
            ("plain modules, 1 seed", "ours, 1 seed", "ours, 4 seeds"),
            ("gymnasium, 1 environment", "ours, 1 environment", "ours, 4 environments"),
        )
    ]
    assert [r["what"] for r in rows["cartpole"][0]] == [
        f"{who}, {envs} {how}" for envs in (4, 20) for who, how in (("the suite", "one by one"), ("ours", "at once"))
    ]
    for name, record in records.items():
        assert record["quick"] and record["command"].startswith(f"python -m benchmarks.{name} --quick")
        assert record["machine"]["cores"] >= 1 and record["machine"]["processor"] and 0 < record["core"] < 1.5
        for table in record["tables"]:
            assert table["title"] in printed
            for row in table["rows"]:
                assert set(row) <= set(table["columns"])
                numbers = [value for key, value in row.items() if isinstance(value, float)]
                assert numbers and all(math.isfinite(value) and value > 0 for value in numbers), row
    assert records["environments"]["processes"] == 2


def test_the_reference_of_a_ratio_has_one_and_bounds_are_consistent(ran):
    for name, who in (("updates", "plain, 1 seed"), ("environments", "plain loop"), ("loop", "plain script")):
        for row in ran[0][name]["tables"][0]["rows"]:
            assert row["lowest"] <= row["ratio"] <= row["highest"]
            assert row["what"] != who or row["lowest"] == row["highest"] == 1
    assert [r["plain"] for r in ran[0]["methods"]["tables"][0]["rows"] if r["arm"] == "sac"] == [1]
    for row in ran[0]["methods"]["tables"][0]["rows"]:
        assert (row["state"] > 0) == (row["method"] not in ("sac", "crelu", "er")) and row["agent"] > 0


def test_parts_of_a_position_add_up(ran):
    for profile in loop.PROFILES:
        parts = {r["part"]: r for r in ran[0]["loop"]["tables"][1]["rows"] if r["profile"] == profile}
        assert set(parts) == {*loop.PARTS, "rest", "evaluate", "updates + environment steps", "a position"}
        single = [parts[part]["seconds"] for part in (*loop.PARTS, "rest", "evaluate")]
        assert sum(single) == pytest.approx(parts["a position"]["seconds"])
        both = parts["update"]["seconds"] + parts["step"]["seconds"]
        assert both < parts["updates + environment steps"]["seconds"] <= both + parts["evaluate"]["seconds"]


def test_a_process_that_fails_is_named_and_nobody_waits_for_it(ran):
    assert 'a process of "one that fails" ended' in ran[1]


@pytest.mark.parametrize("P, batch, layers", [(1, 16, (8, 6)), (3, 5, (7,)), (2, 4, (6, 5, 4))])
def test_flops_of_an_update_are_those_of_the_real_one(P, batch, layers):
    method, seeds = Method(), range(P)
    agent, replay = tiny.make(method, seeds, layers)
    (recent,), (stored,), (noise,) = tiny.draws(replay, seeds, 1, batch)
    with FlopCounterMode(display=False) as counter:
        sac.update_from_rows(agent, replay, recent, stored, {"sac": noise}, method, tiny.SETTINGS)
    assert counter.get_total_flops() == P * updates.update_flops(tiny.OBS, tiny.ACT, layers, batch)


def test_plain_sac_does_what_the_textbook_does_and_no_more():
    """Beyond ours: the critics' weight gradients of the actor's loss, and the actor once more for the temperature."""
    obs, act, width, batch = 5, 2, 8, 16
    agent = plain_sac.PlainSAC(obs, act, width, batch, 50)
    agent.buffer.added = 50
    with FlopCounterMode(display=False) as counter:
        for _ in range(plain_sac.ACTOR_EVERY):
            agent.update()
    forward = lambda *sizes: 2 * batch * sum(a * b for a, b in zip(sizes[:-1], sizes[1:]))
    extra = 2 * forward(obs + act, width, width, 1) + forward(obs, width, width, 2 * act)
    expected = updates.update_flops(obs, act, (width, width), batch) + extra
    assert counter.get_total_flops() == plain_sac.ACTOR_EVERY * expected


def test_plain_sac_learns_what_an_action_is_worth():
    torch.manual_seed(0)
    agent = plain_sac.PlainSAC(3, 1, 32, 64, 500)
    for column in agent.buffer.columns[:3]:
        column[:] = torch.rand(column.shape).mul(2).sub(1).numpy()
    agent.buffer.columns[3][:] = agent.buffer.columns[2]  # reward = action
    agent.buffer.columns[4][:] = 1.0  # and the episode ends
    agent.buffer.added = 500
    for _ in range(300):
        agent.update()
    obs, action = torch.zeros(2, 3), torch.tensor([[-0.8], [0.8]])
    assert torch.allclose(agent.qf1(obs, action), action, atol=0.2)
    assert not torch.allclose(agent.qf1_target(obs, action), agent.qf1(obs, action))


def test_clock_counts_a_function_without_what_it_calls(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(now))  # every look at the clock takes a second
    clock = loop.Clock()
    inner = clock.wrap("inner", lambda: None)
    clock.wrap("outer", lambda: (inner(), inner()))()
    assert clock.seconds == {"inner": 2, "outer": 3}


def test_against_takes_the_median_of_the_slices_ratios():
    rates = {"ours": torch.tensor([2.0, 30.0, 8.0]).numpy(), "plain": torch.tensor([1.0, 10.0, 2.0]).numpy()}
    assert common.against(rates, "ours", "plain") == {"rate": 8, "ratio": 3, "lowest": 2, "highest": 4}


def record(rate, command="python -m benchmarks.x", quick=False, core=1.0):
    return {
        "benchmark": "x",
        "command": command,
        "quick": quick,
        "date": "2000-01-01",
        "machine": {"processor": "abacus"},
        "processes": 1,
        "device": "cpu",
        "core": core,
        "tables": [common.table("Beads", {"what": "who", "rate": "beads/s"}, [{"what": "ours", "rate": rate}])],
    }


def test_report_shows_the_newest_full_record_of_each_command():
    text = report.section(
        [
            record(1.0),
            record(1234.5, "python -m benchmarks.x --processes 2", core=0.5),
            record(2.0),
            record(3.0, quick=True),
        ]
    )
    assert re.findall(r"\| ours *\| *([\d.,]+) \|", text) == ["2.00", "1,234"]
    assert text.count("processor abacus") == 2 and text.count("busy") == 1
    assert report.section([record(3.0, quick=True)]) == "Nothing recorded yet."


def test_readme_shows_the_recorded_results_and_nothing_else():
    records = report.recorded()
    assert report.rendered(README, report.section(records)) == README
    cards = (ROOT / "docs/methods.md").read_text()
    assert report.rendered(cards, report.costs(records), report.COSTS) == cards
    with pytest.raises(ValueError, match="once each"):
        report.rendered(README.replace(report.END, ""), "")


@pytest.mark.parametrize("name", NAMES)
def test_help_has_an_example_and_nonsense_is_refused(name, capsys):
    main = importlib.import_module(f"benchmarks.{name}").main
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0 and f"example: python -m benchmarks.{name}" in capsys.readouterr().out
    for wrong in (["--slices", "0"], ["--seconds", "-1"], ["--quik"], ["--seconds", "nan"]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2


class Begun(Exception):
    pass


@pytest.mark.parametrize("line", re.findall(r"^python -m benchmarks\.(\w+ .*)$", README, re.M))
def test_commands_of_the_readme_are_understood(line, monkeypatch):
    def begin(*args, **kwargs):
        raise Begun

    for function in ("contest", "warm_environments", "as_in_training"):
        monkeypatch.setattr(common, function, begin)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    name, *words = shlex.split(line)
    with pytest.raises(Begun):
        importlib.import_module(f"benchmarks.{name}").main(words)


def test_the_products_alone_are_all_products_of_an_update():
    for batch, layers in ((128, updates.LAYERS), (32, (16, 8, 4))):
        made = updates.products(updates.OBS, updates.ACT, layers)
        count = sum(2 * C * (a or batch) * (k or batch) * (b or batch) for C, a, k, b in made)
        assert count == updates.update_flops(updates.OBS, updates.ACT, layers, batch)
