"""Every notebook that reads results runs on made-up results, on incomplete ones, and where there are none at all."""

from __future__ import annotations

import ast
from pathlib import Path

import jupytext
import pandas as pd
import pytest
import synthetic

PAGES = ("main_table", "learning_curves", "r_matrix", "score_report", "plasticity")
NEURON_PAGES = ("score_distribution", "activation_split", "silencing", "overlap")


def run(name, **parameters):
    """Execute a notebook's cells here, with parameters after the cell tagged so -> value of its last expression."""
    space, cells = {"display": lambda value: None}, jupytext.read(f"notebooks/{name}.py").cells
    for cell in (cell for cell in cells if cell.cell_type == "code"):
        tree = ast.parse(cell.source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), space)
        value = eval(compile(ast.Expression(last.value), name, "eval"), space) if last else None
        if "parameters" in cell.metadata.get("tags", []):
            assert set(parameters) <= set(space)
            space |= parameters
    return value


def page_of(folder):
    """Write a profile for the results in `folder` and return its path."""
    text = Path("profiles/smoke/params.yaml").read_text(encoding="utf-8")
    text = text.replace("checkpoints: runs/smoke/checkpoints", f"checkpoints: {folder}/checkpoints")
    text = text.replace("root: ../..", f"root: {Path.cwd()}")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return str(folder / "params.yaml")


def everything(folder, **more):
    """Run all notebooks on the results in `folder`, return {notebook: conclusion}."""
    common, neurons = {"params_file": page_of(folder), "sequence": "window"}, str(folder / "neurons.csv.gz")
    said = {
        "evaluate": run("pipeline/evaluate", **common, out=str(folder / "evaluate.csv")),
        "neurons": run("pipeline/neurons", **common, out=neurons),
    }
    said |= {page: run(f"results/{page}", **common, out=str(folder / page)) for page in PAGES}
    said |= {page: run(f"results/{page}", **common, neurons=neurons, out=str(folder / page)) for page in NEURON_PAGES}
    said["training_gate"] = run(
        "results/training_gate", params_file=common["params_file"], out=str(folder / "training_gate")
    )
    for page in said.keys() - {"evaluate", "neurons"}:
        names = {path.suffix for path in (folder / page).iterdir()}
        assert {".png", ".svg", ".csv"} <= names, page
    return {page: conclusion.data for page, conclusion in said.items()}


@pytest.mark.slow
def test_complete_and_incomplete_results(tmp_path):
    synthetic.write(
        tmp_path / "checkpoints", "window", "fine-tuning", seeds=(0, 1), settings={"share": 0.0}, every=False
    )
    synthetic.write(tmp_path / "checkpoints", "window", "nbsp", seeds=(0, 1), finished={1: 2}, unscored=[(0, 1)])
    synthetic.write(tmp_path / "checkpoints", "window-close", "fine-tuning", seeds=(0,))
    said = everything(tmp_path)
    assert "2 of 18 arms" in said["main_table"] and "indicative" in said["main_table"]
    assert "replay-only: missing" in said["r_matrix"] and "**nbsp**" in said["learning_curves"]
    assert "window-close: 1 of 1" in said["training_gate"] and "nbsp: 3 networks unscored" in said["score_report"]
    neurons = pd.read_csv(tmp_path / "neurons.csv.gz")
    assert set(neurons.groupby("arm").position.unique().map(tuple)["nbsp"]) == {1, 2, 3, 4}
    assert neurons[neurons.arm == "fine-tuning"].position.unique().tolist() == [4]
    table = pd.read_csv(tmp_path / "main_table" / "main_table.csv")
    counts = table[table.metric == "ASR"].set_index("arm").k
    assert len(counts) == 18 and counts[counts > 0].to_dict() == {"fine-tuning": 2, "nbsp": 1}


def test_positions_that_stop_at_mastery(tmp_path):
    mastered = {(0, 1): 400, (1, 1): 600, (0, 2): 500}
    synthetic.write(tmp_path / "checkpoints", "window", "fine-tuning", seeds=(0, 1), mastered=mastered)
    common = {"params_file": page_of(tmp_path), "sequence": "window"}
    said = run("results/main_table", **common, out=str(tmp_path / "main_table")).data
    assert "Not mastered by every seed: fine-tuning window-close in position 2 (1 of 2)" in said
    text = (tmp_path / "main_table" / "mastery.md").read_text()
    assert "| fine-tuning | 500 (2 of 2), 0.9" in text and "> 750 (1 of 2), 0.9" in text
    run("results/learning_curves", **common, out=str(tmp_path / "curves"))
    svg = (tmp_path / "curves" / "learning_curves.svg").read_text()
    assert "the seed has mastered the task" in svg


def test_an_arm_that_the_profile_does_not_ask_for_has_a_table_of_its_own(tmp_path):
    for arm in ("nbsp", "share-50"):
        synthetic.write(tmp_path / "checkpoints", "window", arm, seeds=(0,))
    common = {"params_file": page_of(tmp_path), "sequence": "window"}
    run("results/main_table", **common, out=str(tmp_path / "main_table"))
    first, other = (pd.read_csv(tmp_path / "main_table" / f"{name}.csv") for name in ("main_table", "other_arms"))
    assert "share-50" not in set(first.arm) and list(other.arm.unique()) == ["nbsp", "share-50"]
    values = [table[(table.arm == "nbsp") & (table.metric == "FM")]["mean"].item() for table in (first, other)]
    assert values[0] == values[1]


@pytest.mark.parametrize("old", [True, False])
def test_a_fixed_budget_has_no_steps_to_mastery(tmp_path, old):
    synthetic.write(tmp_path / "checkpoints", "window", "fine-tuning", seeds=(0,), old=old)
    run("results/main_table", params_file=page_of(tmp_path), sequence="window", out=str(tmp_path / "main_table"))
    assert not list((tmp_path / "main_table").glob("mastery*")) and (tmp_path / "main_table" / "main_table.md").exists()


def test_unscored_everywhere(tmp_path):
    every = [(0, k) for k in (1, 2)]
    synthetic.write(
        tmp_path / "checkpoints",
        "window",
        "nbsp",
        seeds=(0,),
        finished={0: 2},
        unscored=every,
        train={"goal": "success"},
    )
    said = everything(tmp_path)
    assert "2 agents were rolled out, 0 could be scored" in said["neurons"]
    assert all("No network could be scored" in said[page] for page in NEURON_PAGES)


def test_no_results_at_all(tmp_path):
    said = everything(tmp_path)
    assert "0 of 18 arms" in said["main_table"] and "0 of 0" in said["evaluate"]
    assert all("No network could be scored" in said[page] for page in NEURON_PAGES)
