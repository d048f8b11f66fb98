"""The command `nbsp`: one line for what is wrong, examples that parse, and a plan that counts what training then does."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from campaign import profiles_in
from ruamel.yaml import YAML

from nbsp_lib import cli
from nbsp_lib.artifact import doctor
from nbsp_lib.campaign import launch, plan, speed, work
from nbsp_lib.campaign.speed import Rates
from nbsp_lib.envs.metaworld import MetaWorld
from nbsp_lib.methods.check import CHECKS
from nbsp_lib.methods.nbsp import NBSP
from nbsp_lib.runs.run import Placement, Run
from nbsp_lib.runs.settings import load_profile
from nbsp_lib.runs.state import read_run
from nbsp_lib.runs.strict import read_yaml
from nbsp_lib.runs.train_run import train_run
from nbsp_lib.training import rollout

ROOT = Path(__file__).parents[2]
TINY = {
    "steps": 80,
    "random_steps": 20,
    "envs": 2,
    "episode": 10,
    "layers": [8, 8],
    "batch": 16,
    "evaluations": 3,
    "episodes": 4,
    "mastery": None,
    "scoring_episodes": 3,
}
FIXED = Rates(update=2e-3, play=1e-4, evaluate=1e-4, core=1.0, replay=1000, state=100, network=10)


def workplace(folder):
    """A repository with the shipped profile and a tiny one."""
    profiles_in(folder, TINY)
    return folder


@pytest.fixture
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(workplace(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workplace where fine-tuning has finished two positions of seed 0, and what that simulated: {updates, steps}."""
    folder, steps, step = workplace(tmp_path_factory.mktemp("trained")), [], MetaWorld.step
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TQDM_DISABLE", "1")
        patch.setattr(MetaWorld, "step", lambda self, action: (steps.append(len(self.episodes)), step(self, action))[1])
        rollout.environments.cache_clear()
        train_run(
            Run(load_profile("profiles/laptop/params.yaml"), "window", "fine-tuning"), (0,), Placement(positions=2)
        )
    return folder, sum(steps)


@pytest.fixture
def tiny(trained, tmp_path, monkeypatch):
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return load_profile("profiles/laptop/params.yaml")


@pytest.fixture
def measured(monkeypatch):
    """Calls of the measuring, which gives fixed rates."""
    calls = []
    monkeypatch.setattr(plan, "measure", lambda train, sequence, method, size, *given: (calls.append(size), FIXED)[1])
    return calls


BAD = [
    ("--profile labtop", '--profile: unknown profile "labtop", nearest valid name: "laptop"'),
    ("--arm nbps", '--arm: unknown arm "nbps", nearest valid name: "nbsp"'),
    ("--sequence widow", '--sequence: unknown sequence or task "widow", nearest valid name: "window"'),
    (
        "--sequence window-closed",
        '--sequence: unknown sequence or task "window-closed", nearest valid name: "window-close"',
    ),
    ("--seeds 0 1 0", "--seeds: [0, 1, 0] must be distinct integers in 0..4294967295, at least one"),
    ("--seeds -1", "--seeds: [-1] must be distinct integers in 0..4294967295, at least one"),
    ("--seeds 5000000000", "--seeds: [5000000000] must be distinct integers in 0..4294967295, at least one"),
    ("--seeds one", "argument --seeds: invalid int value: 'one'"),
    ("--sequnce window", 'unknown option "--sequnce", nearest valid name: "--sequence"'),
    ("--seq window", 'unknown option "--seq", nearest valid name: "--sequence"'),
]
ONLY = [
    ("run --population 0", "--population: 0 must be at least 1"),
    ("plan --population 0", "--population: 0 must be at least 1"),
    ("run --positions 0", "--positions: 0 must be at least 1"),
    ("run --device gpu", "argument --device: invalid choice: 'gpu'"),
    ("run --profile shipped --arm nbsp", '"shipped" trains nothing, nearest valid name: "laptop"'),
    ("promote --profile shipped --arm nbsp", '"shipped" trains nothing, nearest valid name: "laptop"'),
    ("run --sequence cartpole --workers 2", "--workers: cartpole is not of Meta-World, the only benchmark that other"),
    ("rum", "invalid choice: 'rum' (choose from"),
    ("", "the following arguments are required: command"),
]


@pytest.mark.parametrize(
    ("line", "words"),
    ONLY
    + [(f"{command} {options}", words) for command in ("run", "plan", "status", "promote") for options, words in BAD],
)
def test_what_is_wrong_costs_one_line_and_no_training(inside, monkeypatch, capsys, line, words):
    def never(*args, **settings):
        raise AssertionError("this must not begin")

    monkeypatch.setattr(launch, "train_run", never)
    monkeypatch.setattr(plan, "measure", never)
    assert cli.main(line.split()) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and not said.out
    assert sorted(path.name for path in inside.iterdir()) == ["params.yaml", "profiles"]


def test_a_broken_profile_is_one_line_too(inside, capsys):
    path = inside / "params.yaml"
    path.write_text(path.read_text().replace("batch:", "bacth:"))
    assert cli.main(["run"]) == 2
    said = capsys.readouterr().err
    assert 'unknown key "bacth", nearest valid name: "batch"' in said and said.count("\n") == 1


@pytest.mark.parametrize("command", cli.EXAMPLES)
def test_help_shows_an_example_that_parses(command, capsys, monkeypatch):
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, "--help"])
    assert stopped.value.code == 0
    (example,) = re.findall(r"^example: (nbsp .*)$", capsys.readouterr().out, re.M)
    args = cli.parser().parse_args(example.split()[1:])
    assert args.command == command
    monkeypatch.chdir(ROOT)
    if command not in ("doctor", "check-method"):
        _, runs, seeds = cli.chosen(args)
        assert runs and seeds


def test_status_says_what_is_done(tiny, capsys):
    assert cli.main("status --sequence window --seeds 0 1".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(" +", " ", line) for line in lines] == [
        "window fine-tuning seed 0: 2 of 4 positions, stopped",
        "window fine-tuning seed 1: 0 of 4 positions, missing",
        "window nbsp seed 0: 0 of 4 positions, missing, position 1 is shared and has 4 rounds",
        "window nbsp seed 1: 0 of 4 positions, missing",
        "1 stopped, 3 missing",
    ]


def test_status_does_not_count_a_run_with_other_settings(tiny, capsys):
    cli.main("promote --sequence window --arm fine-tuning --seeds 0 --copy-only".split())
    shutil.rmtree(".state")
    command = "status --sequence window --arm fine-tuning --seeds 0".split()
    capsys.readouterr()
    cli.main(command)
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("batch: 16", "batch: 17"))
    cli.main(command)
    assert re.findall(r": (\d) of 4", capsys.readouterr().out) == ["2", "0"]


def test_promote_copies_what_is_finished(tiny, capsys):
    assert cli.main("promote --sequence window --seeds 0 1 --copy-only".split()) == 0
    out = Path("data/checkpoints/window")
    assert capsys.readouterr().out == f"{out}/fine-tuning: seed 0: 2 of 4\n{out}/nbsp: nothing finished\n"
    assert [path.name for path in out.iterdir()] == ["fine-tuning"]
    run = read_run(out / "fine-tuning")
    assert run["finished"] == {"0": 2} and run["profile"] == "laptop" and run["config"]["arm"] == "fine-tuning"
    assert {f"position{k}.seed0.safetensors" for k in (1, 2)} < set(run["files"])
    assert pd.read_csv(out / "fine-tuning/R.csv").position.tolist() == [1, 1, 2, 2]
    assert cli.main("promote --sequence window --arm fine-tuning --seeds 0 --networks last --copy-only".split()) == 0
    assert [name for name in read_run(out / "fine-tuning")["files"] if name.startswith("pos")] == [
        "position2.seed0.safetensors"
    ]


def test_promote_takes_what_stands_further_in_another_clone(tiny, capsys):
    cli.main("promote --sequence window --arm fine-tuning --seeds 0 --copy-only".split())
    shutil.move("data/checkpoints", "campaign/runs/laptop/checkpoints")
    out, said = Path("data/checkpoints/window/fine-tuning"), []
    for _ in range(2):
        capsys.readouterr()
        assert cli.main("promote --from campaign --copy-only".split()) == 0
        said.append(capsys.readouterr().out)
    assert said == [f"{out}: seed 0: 2 of 4\n", f"{out}: nothing further\n"] and read_run(out)["finished"] == {"0": 2}
    assert cli.main("promote --from campaign --arm nbsp --copy-only".split()) == 2
    assert "--from: campaign/runs/laptop/checkpoints holds none of these runs" in capsys.readouterr().err


def test_other_settings_in_the_result_folder_are_refused_before_training(tiny, monkeypatch, capsys):
    path = Path("runs/laptop/checkpoints/window/nbsp/run.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"config_hash": "another", "finished": {}}))
    monkeypatch.setattr(launch, "train_run", lambda *args: pytest.fail("this must not begin"))
    assert cli.main("run --sequence window --arm fine-tuning nbsp".split()) == 2
    assert "holds a run with other settings" in capsys.readouterr().err


def total(groups, name):
    return sum(len(group.seeds) * getattr(group.work, name) for group in groups)


def counted(groups):
    return [(plan.SHARED if group.run.shared else group.run.arm, group.seeds, group.work.positions) for group in groups]


def test_plan_counts_what_training_does(trained, tiny, tmp_path):
    """Nothing is left of two trained positions, and before them the plan says what was then simulated and updated."""
    run = Run(tiny, "window", "fine-tuning")
    todo = work.planned([Run(tiny, "window", "fine-tuning", tmp_path / "nowhere")], (0,), 1)
    left = work.planned([run], (0,), 1)
    manifest = run.states((0,))[0].manifest
    updates = pd.DataFrame(manifest["curves"]).updates
    assert total(todo, "positions") == 4 and total(left, "positions") == 2
    assert total(todo, "updates") - total(left, "updates") == updates.max() == 2 * (80 - 20) * 0.5
    steps = lambda groups: total(groups, "played") + total(groups, "measured")
    assert steps(todo) - steps(left) == trained[1]
    assert total(todo, "played") == 4 * 80


def test_plan_counts_a_shared_position_once(inside, measured, capsys):
    profile, arms = load_profile("profiles/laptop/params.yaml"), ("fine-tuning", "nbsp", "replay-only")
    groups = work.planned([Run(profile, "window", arm) for arm in arms], (0, 1), 2)
    assert counted(groups) == [(plan.SHARED, (0, 1), 1), *((arm, (0, 1), 3) for arm in arms)]
    assert cli.main("plan --arm fine-tuning nbsp replay-only --sequence window --population 2".split()) == 0
    said = capsys.readouterr().out
    assert re.search(r"^total +8 +20\.0 +600 ", said, re.M)  # 2 seeds x (1 + 3 x 3) positions, 30 updates each
    assert sorted(measured) == [2, 2]  # plain SAC and NBSP
    hours = sum(group.hours(FIXED) for group in groups)
    assert hours == pytest.approx((300 * 2e-3 + (total(groups, "played") + total(groups, "measured")) * 1e-4) / 3600)


def test_plan_groups_seeds_at_the_same_place(tiny):
    """Seed 0 goes on alone; three new seeds share position 1 two at a time, and so do the runs forked from it."""
    groups = work.planned([Run(tiny, "window", "fine-tuning")], (0, 1, 2, 3), 2)
    assert counted(groups) == [
        (plan.SHARED, (1, 2), 1),
        (plan.SHARED, (3,), 1),
        ("fine-tuning", (1, 2), 3),
        ("fine-tuning", (3,), 3),
        ("fine-tuning", (0,), 2),
    ]


def test_plan_leaves_out_what_is_shipped_and_says_so(tiny, measured, capsys):
    cli.main("promote --sequence window --arm fine-tuning --seeds 0 --copy-only".split())
    path = Path("data/checkpoints/window/fine-tuning/run.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"finished": {"0": 4}}))
    capsys.readouterr()
    assert cli.main("plan --sequence window --arm fine-tuning --seeds 0".split()) == 0
    said = capsys.readouterr().out
    assert re.search(r"^total +0 +0\.0 +0 ", said, re.M) and "left out: 2.0 positions" in said


def test_measuring_ends_soon_and_gives_plausible_rates(inside):
    profile = load_profile("profiles/laptop/params.yaml")
    rates = speed.measure(profile.train, "window", NBSP(), 2, 0.2)
    assert 1e-5 < rates.update < 1 and 1e-5 < rates.play < 0.1 and 1e-5 < rates.evaluate < 0.1 and 0 < rates.core <= 1
    assert rates.replay == (80 + 2 * 8) * 84 * 4
    # fp16: actor 39-8-8-8 and two critics 43-8-8-1, in a file with a header
    count = 39 * 8 + 8 + 8 * 8 + 8 + 8 * 8 + 8 + 2 * (43 * 8 + 8 + 8 * 8 + 8 + 8 + 1)
    assert 2 * count < rates.network < 2 * count + 2000
    known = replace(rates, play=1.0, evaluate=2.0, start=3.0)
    other = speed.measure(profile.train, "window", NBSP(), 2, 0.2, known)
    assert (other.play, other.evaluate, other.start) == (1, 2, 3) and 1e-5 < other.update < 1


def test_doctor_finds_a_damaged_file(tiny, monkeypatch, capsys):
    cli.main("promote --sequence window --arm fine-tuning --seeds 0 --copy-only".split())
    assert [grade for grade, _ in doctor.shipped()] == ["ok"]
    with open("data/checkpoints/window/fine-tuning/R.csv", "a") as file:
        file.write("\n")
    for check in ("packages", "environments", "rendering", "learner", "kernel"):
        monkeypatch.setattr(doctor, check, lambda: iter(()))
    assert cli.main(["doctor"]) == 1
    assert re.search(r"^FAIL .*R\.csv: the checksum differs", capsys.readouterr().out, re.M)


@pytest.mark.slow
def test_doctor_finds_this_installation_whole(inside, capsys):
    assert doctor.check_installation()
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]


def test_check_method_says_what_is_wrong_in_plain_words(inside, tmp_path, capsys):
    """The template passes; a file that is not there, a class that is not there, a bare setting and a wrong one cost one line."""
    template = str(ROOT / "docs/my_method.py")
    assert cli.main(["check-method", f"{template}:Anchor", "--set", "strength=10"]) == 0
    said = capsys.readouterr().out
    assert "with strength=10.0" in said and said.count("ok  ") == len(CHECKS) and "FAIL" not in said
    (tmp_path / "mine.py").write_text(
        "from nbsp_lib.core.method import Method\nclass Mine(Method):\n"
        "    def __init__(self, k):\n        super().__init__()\n"
    )
    for path, words in (
        (f"{template}:Ancor", "no method class"),
        (f"{tmp_path}/gone.py:Mine", "cannot be imported"),
        (f"{tmp_path}/mine.py:Mine", "settings without a default: k"),
        ("ewcc", 'nearest valid name: "ewc"'),
    ):
        assert cli.main(["check-method", path]) == 2
        said = capsys.readouterr()
        assert words in said.err and len(said.err.splitlines()) == 1
    assert cli.main(["check-method", f"{template}:Anchor", "--set", "strenght=1"]) == 2
    assert 'nearest valid name: "strength"' in capsys.readouterr().err


def test_an_arm_by_import_path_trains_and_ships(inside, monkeypatch, capsys):
    """Its file is part of the run's identity: a changed method has another state."""
    path = Path("params.yaml")
    Path("mine.py").write_text((ROOT / "docs/my_method.py").read_text())
    document = read_yaml(path)
    document["arms"]["mine"] = {"method": "mine.py:Anchor", "strength": 3.0}
    with open(path, "w") as file:
        YAML(typ="safe", pure=True).dump(document, file)
    assert cli.main("run --sequence window --arm mine --seeds 0 --positions 2 --no-compile".split()) == 0
    out = Path("runs/laptop/checkpoints/window/mine")
    run = read_run(out)
    assert run["config"]["method"] == "mine.py:Anchor" and run["config"]["settings"] == {"strength": 3.0}
    assert run["finished"] == {"0": 2} and list(Path(".state").glob("window-mine-py-Anchor-*/seed0/state.json"))
