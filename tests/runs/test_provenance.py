"""Where every shipped run comes from: each folder of data/checkpoints and data/retention against its manifest, its own settings,
its own files.

A run is held to the settings that its run.json records, not to those of today's profile: runs of two protocols are shipped.
"""

from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load_file

from nbsp_lib.core.budgets import at_position
from nbsp_lib.envs.sequences import benchmark_of, distinct, tasks_of
from nbsp_lib.methods import find
from nbsp_lib.results.positions import budget
from nbsp_lib.results.questions import PARTS
from nbsp_lib.runs.arms import arm_of
from nbsp_lib.runs.export import MASTERY, YOUNGER, versions_of
from nbsp_lib.runs.settings import config_hash, load_profile
from nbsp_lib.runs.state import load_agent, read_run
from nbsp_lib.training.columns import COLUMNS
from nbsp_lib.training.provenance import VERSIONS
from nbsp_lib.training.rollout import episodes_of

ROOT = Path(__file__).parents[2]
LAPTOP = load_profile(ROOT / "profiles/laptop/params.yaml")
SHIPPED = ROOT / "data/checkpoints"
RETENTION = ROOT / "data/retention"
PROFILES = {SHIPPED: LAPTOP, RETENTION: load_profile(ROOT / "profiles/retention/params.yaml")}
FOLDERS = sorted(path for path in SHIPPED.glob("*/*") if path.is_dir())
EVERY = [*FOLDERS, *sorted(path for path in RETENTION.glob("*/*") if path.is_dir())]
every_run = pytest.mark.parametrize("folder", EVERY, ids=lambda path: f"{path.parent.name}-{path.name}")


def only_tables(folder):
    """Whether a run ships no networks: after one switch, pages look into those of the parts of NBSP only."""
    looked_at = folder.parent.name == "window-once" and folder.name in {arm for pair in PARTS for arm in pair}
    return "retention" in folder.parts and not looked_at


def settings_of(folder):
    """The settings of training that a run records."""
    return read_run(folder)["config"]["train"]


def test_runs_are_shipped_as_soon_as_there_is_a_pipeline():
    assert FOLDERS or not (ROOT / "dvc.yaml").exists(), (
        f"{SHIPPED} holds no run, and the pipeline begins with them; nbsp promote"
    )
    stray = [path for path in SHIPPED.glob("*") if not path.is_dir()] + [
        path for path in SHIPPED.glob("*/*") if path.is_file()
    ]
    assert not stray, f"what is this? {stray}"


def test_the_shipped_profile_has_the_settings_of_profile_laptop():
    shipped = load_profile(ROOT / "params.yaml")
    settings = lambda profile: (profile.train, profile.atari, profile.dmc, profile.arms, profile.seeds)
    assert settings(shipped) == settings(LAPTOP)


@every_run
def test_a_run_records_what_trained_it(folder):
    run, sequence, arm = read_run(folder), folder.parent.name, folder.name
    config, profile = run["config"], PROFILES[folder.parents[1]]
    assert run["profile"] == profile.profile and set(config) == {
        "sequence",
        "tasks",
        "arm",
        "method",
        "settings",
        "train",
    }
    assert (config["sequence"], config["arm"], tuple(config["tasks"])) == (sequence, arm, tasks_of(sequence))
    assert run["config_hash"] == config_hash({key: value for key, value in config.items() if key != "arm"})
    assert config["method"] == profile.arms[arm].method
    filled = arm_of(
        arm, {"method": config["method"], **config["settings"]}, arm
    )  # settings younger than the run: defaults
    assert filled.settings == profile.arms[arm].settings
    assert ("final_episodes" in config["train"]) != ("mastery" in config["train"])
    assert len(run["code_hash"]) == 16
    for known in versions_of(run).values():  # two are younger, and needed by their benchmark alone
        assert {*VERSIONS, "python"} - set(known) <= {"ale-py", "dm-control"}


@every_run
def test_every_file_is_listed_and_every_listed_file_is_there(folder):
    run = read_run(folder)
    assert {path.name for path in folder.iterdir()} == {*run["files"], "run.json", "timing.json"}
    assert {f"{name}.csv" for name in COLUMNS if name not in YOUNGER} < set(run["files"])


@every_run
def test_what_a_seed_has_finished_agrees_with_its_files(folder):
    run, tasks = read_run(folder), tasks_of(folder.parent.name)
    finished = {int(seed): k for seed, k in run["finished"].items()}
    assert run["positions"] == len(tasks) and run["seeds"] == sorted(finished) and set(run["diverged"]) <= set(finished)
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in COLUMNS if f"{name}.csv" in run["files"]}
    absent = MASTERY if "final_episodes" in run["config"]["train"] else set()
    for name, frame in tables.items():
        younger = absent if name == "R" else {"null_score"} - set(frame)
        assert list(frame.columns) == [column for column in COLUMNS[name] if column not in younger]
    R, curves = tables["R"], tables["curves"]
    expected = [
        (seed, k + 1, tasks[k], task)
        for seed, done in sorted(finished.items())
        for k in range(done)
        for task in distinct(tasks)
    ]
    assert list(R[["seed", "position", "training_task", "task"]].itertuples(index=False, name=None)) == expected
    for seed, done in finished.items():
        assert 0 < done <= len(tasks) or seed in run["diverged"]
        mine = curves[curves.seed == seed]
        assert mine.position.nunique() == done and set(mine.position) <= set(range(1, done + 1))
        assert not done or set(mine.task) == set(tasks)
        networks = {k for k in range(1, len(tasks) + 1) if f"position{k}.seed{seed}.safetensors" in run["files"]}
        shipped = [set()] if only_tables(folder) else [{done}, set(range(1, done + 1))]
        assert networks in shipped, f"seed {seed}: networks of positions {networks}, finished {done}"


@every_run
def test_evaluations_are_those_of_the_protocol(folder):
    """At the milestones of the budget; up to its end, or up to the first at which the task in training is mastered."""
    train, curves, tasks = settings_of(folder), pd.read_csv(folder / "curves.csv"), tasks_of(folder.parent.name)
    rows = train["envs"] * train["episode"]
    total = {}
    for (seed, position), here in curves.groupby(["seed", "position"]):
        most, level = budget(train, position), at_position(train.get("mastery"), position - 1)
        longest = max(train["steps"]) if isinstance(train["steps"], list) else train["steps"]
        planned = max(3, round(train["evaluations"] * most / longest))  # as densely as in the longest position
        due = [-(-j * (most // rows) // planned) * rows for j in range(1, planned + 1)]
        steps = here[here.task == tasks[position - 1]].step.tolist()
        ended = due.index(steps[-1])
        assert steps == [0][: position == 1] + due[: ended + 1]
        assert all(here[here.task == task].step.tolist() == steps for task in distinct(tasks))
        number = {0: 0} | {step: j for j, step in enumerate(due, start=1)}
        assert here.episodes.tolist() == [len(episodes_of(train, number[step])) for step in here.step]
        trained = here[(here.task == tasks[position - 1]) & (here.step > 0)].reset_index(drop=True)
        won = (trained.success * trained.episodes).rolling(3).sum() / trained.episodes.rolling(3).sum()
        over = [level is not None and value >= level - 1e-6 for value in won]
        edited = find(read_run(folder)["config"]["method"]).edits_at_end  # measured last after its change
        assert not any(over[:-1]) and (over[-1] or steps[-1] == most or edited)
        assert (here.total_step - here.step == total.get(seed, 0)).all()
        total[seed] = total.get(seed, 0) + steps[-1]


@every_run
def test_R_is_what_the_last_three_evaluations_of_each_position_give_together(folder):
    """Weighted by episodes, which are equal in runs of a fixed budget."""
    R, curves = (pd.read_csv(folder / f"{name}.csv") for name in ("R", "curves"))
    keys, measures = ["seed", "position", "task"], ["success", "success_last", "return"]
    last = curves.groupby(keys).tail(3)
    weighted = last[measures].mul(last.episodes, axis=0).assign(episodes=last.episodes)
    pooled = weighted.groupby([last[key] for key in keys]).sum(min_count=1)
    found = R.set_index(keys)
    expected = pooled[measures].div(pooled.episodes, axis=0).loc[found.index]
    pd.testing.assert_frame_equal(found[measures].sort_index(), expected.sort_index(), atol=2e-6, rtol=1e-6)
    if "steps" in R:
        assert found.episodes.tolist() == pooled.episodes.loc[found.index].tolist()
        assert found.steps.tolist() == curves.groupby(keys).step.max().loc[found.index].tolist()
        own = R[R.task == R.training_task]
        levels = [at_position(settings_of(folder)["mastery"], position - 1) for position in own.position]
        mastered = own.success >= [2.0 if level is None else level - 1e-6 for level in levels]  # no success is 2
        assert (own.steps_to_mastery == own.steps).tolist() == mastered.tolist()
        assert R.groupby(keys[:2]).steps_to_mastery.nunique(dropna=False).eq(1).all()


@every_run
def test_scores_and_unscored_rollouts_are_those_of_finished_positions(folder):
    run, scores = read_run(folder), pd.read_csv(folder / "scores.csv")
    finished = {int(seed): k for seed, k in run["finished"].items()}
    rows = set(scores[["seed", "position"]].itertuples(index=False, name=None))
    if run["config"]["method"] != "nbsp":
        assert scores.empty and not run["unscored"]
        return
    assert rows == {(seed, k) for seed, done in finished.items() for k in range(1, done + 1)}
    assert set(scores.network) == {"actor", "critic0", "critic1"} and set(scores.status) <= {"scored", "unscored"}
    unscored = scores[scores.status == "unscored"][["seed", "position"]].itertuples(index=False, name=None)
    assert {tuple(pair) for pair in run["unscored"]} == set(unscored)


@every_run
def test_networks_are_small_finite_and_can_be_loaded(folder):
    run, sequence = read_run(folder), folder.parent.name
    seen, judged = {"metaworld": (39, 43), "atari": (128, 128), "dmc": (5, 6)}[benchmark_of(tasks_of(sequence)[0])]
    units = run["config"]["train"]["layers"][0] // (
        2 if run["config"]["method"] == "crelu" else 1
    )  # crelu: each unit twice
    for name in (name for name in run["files"] if name.endswith(".safetensors")):
        tensors = load_file(folder / name)
        assert {str(t.dtype) for t in tensors.values()} == {"float16"}
        assert tensors["actor.w0"].shape == (1, seen, units)
        assert "critic.w0" not in tensors or tensors["critic.w0"].shape == (2, judged, units)
        assert all(abs(t).max() < float("inf") for t in tensors.values()), name
    for seed, done in run["finished"].items():
        if done and not only_tables(folder):
            assert load_agent(folder, done, [int(seed)], run)[0].tasks == distinct(tasks_of(sequence))
