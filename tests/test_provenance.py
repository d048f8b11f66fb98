"""Where every shipped run comes from: each folder of data/checkpoints against its manifest, the profile and its own files."""
from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load_file

from nbsp_lib.checkpoint import VERSIONS, load_agent, read_run
from nbsp_lib.config import cell, config_hash, load_profile
from nbsp_lib.sequences import benchmark_of, distinct, tasks_of
from nbsp_lib.ship import COLUMNS, YOUNGER, versions_of

ROOT = Path(__file__).parents[1]
LAPTOP = load_profile(ROOT / "profiles/laptop/params.yaml")
SHIPPED = ROOT / "data/checkpoints"
FOLDERS = sorted(path for path in SHIPPED.glob("*/*") if path.is_dir())
every_run = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")


def test_runs_are_shipped_as_soon_as_there_is_a_pipeline():
    assert FOLDERS or not (ROOT / "dvc.yaml").exists(), f"{SHIPPED} holds no run, and the pipeline begins with them; nbsp promote"
    stray = [path for path in SHIPPED.glob("*") if not path.is_dir()] + [path for path in SHIPPED.glob("*/*") if path.is_file()]
    assert not stray, f"what is this? {stray}"


def test_the_shipped_profile_has_the_settings_of_the_one_that_trained():
    shipped = load_profile(ROOT / "params.yaml")
    settings = lambda profile: (profile.train, profile.atari, profile.dmc, profile.arms, profile.seeds)
    assert settings(shipped) == settings(LAPTOP)


@every_run
def test_a_run_was_trained_with_the_settings_of_profile_laptop(folder):
    run, sequence, arm = read_run(folder), folder.parent.name, folder.name
    assert run["profile"] == "laptop" and arm in LAPTOP.arms
    wanted = cell(LAPTOP, sequence, arm)
    assert run["config"] == wanted | {"arm": arm}
    assert run["config_hash"] == config_hash(wanted)
    assert len(run["code_hash"]) == 16
    for known in versions_of(run).values():                          # two are younger, and needed by their benchmark alone
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
    assert all(list(frame.columns) == COLUMNS[name] for name, frame in tables.items())
    R, curves = tables["R"], tables["curves"]
    expected = [(seed, k + 1, tasks[k], task) for seed, done in sorted(finished.items())
                for k in range(done) for task in distinct(tasks)]
    assert list(R[["seed", "position", "training_task", "task"]].itertuples(index=False, name=None)) == expected
    for seed, done in finished.items():
        assert 0 < done <= len(tasks) or seed in run["diverged"]
        mine = curves[curves.seed == seed]
        assert mine.position.nunique() == done and set(mine.position) <= set(range(1, done + 1))
        assert len(mine) == len(distinct(tasks)) * (bool(done) + done * LAPTOP.training(folder.parent.name).evaluations)
        assert not done or set(mine.task) == set(tasks)
        networks = {k for k in range(1, len(tasks) + 1) if f"position{k}.seed{seed}.safetensors" in run["files"]}
        assert networks in ({done}, set(range(1, done + 1))), f"seed {seed}: networks of positions {networks}, finished {done}"


@every_run
def test_R_is_the_mean_of_the_last_three_evaluations_of_each_position(folder):
    R, curves = (pd.read_csv(folder / f"{name}.csv") for name in ("R", "curves"))
    keys, measures = ["seed", "position", "task"], ["success", "success_last", "return"]
    last = curves.groupby(keys).tail(3).groupby(keys)[measures].mean()
    found = R.set_index(keys)[measures]
    pd.testing.assert_frame_equal(found.sort_index(), last.loc[found.index].sort_index(), atol=2e-6, rtol=1e-6)


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
    units = LAPTOP.training(sequence).layers[0] // (2 if run["config"]["method"] == "crelu" else 1)      # crelu: each unit twice
    for name in (name for name in run["files"] if name.endswith(".safetensors")):
        tensors = load_file(folder / name)
        assert {str(t.dtype) for t in tensors.values()} == {"float16"}
        assert tensors["actor.w0"].shape == (1, seen, units)
        assert "critic.w0" not in tensors or tensors["critic.w0"].shape == (2, judged, units)
        assert all(abs(t).max() < float("inf") for t in tensors.values()), name
    for seed, done in run["finished"].items():
        if done:
            assert load_agent(folder, done, [int(seed)], run)[0].tasks == distinct(tasks_of(sequence))
