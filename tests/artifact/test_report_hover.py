"""Figures of the site to point at, and what its first page says was found: as the tables have it, and in a real browser."""

import json
import re

import pandas as pd
import pytest
from browser import browser, needs_browser, resize
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from test_report import ROOT, build, notebook, picture

from nbsp_lib.artifact import report_found
from nbsp_lib.artifact.report_hover import curves, hover, matrix
from nbsp_lib.runs.strict import read_yaml

A, B = "window-open", "window-close"
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning")


def evaluations():
    """Two seeds of one arm, two positions; the second seed of position 2 ends earlier."""
    rows = [(0, 1, A, 0, 0.0, 0.0), (0, 1, A, 80, 0.9, 0.1), (1, 1, A, 0, 0.0, 0.2), (1, 1, A, 80, 1.0, 0.3)]
    rows += [(0, 2, B, 40, 0.5, 0.6), (0, 2, B, 120, 0.25, 1.0), (1, 2, B, 40, 0.75, 0.8)]
    frame = pd.DataFrame(rows, columns=["seed", "position", "training_task", "step", A, B])
    long = frame.melt(["seed", "position", "training_task", "step"], [A, B], "task", "success")
    return long.assign(arm="nbsp")


def ends():
    rows = [("nbsp", 0, 1, A, A, 0.9), ("nbsp", 0, 1, A, B, 0.1), ("nbsp", 1, 1, A, A, 0.7), ("nbsp", 1, 1, A, B, 0.3)]
    rows += [("nbsp", 0, 2, B, A, 0.25), ("nbsp", 0, 2, B, B, 1.0), ("er", 0, 1, A, A, 0.5), ("er", 0, 1, A, B, 0.0)]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "position", "training_task", "task", "success"])
    return frame.assign(status="ok")


def test_lines_hold_every_evaluation():
    made = curves(evaluations())
    assert made["tasks"] == [A, B] and made["spans"] == [[1, A, 0, 80], [2, B, 80, 200]]
    assert made["arms"] == {
        "nbsp": [
            [0, [1, 1, 2, 2], [0, 80, 40, 120], [[0.0, 0.9, 0.5, 0.25], [0.0, 0.1, 0.6, 1.0]]],
            [1, [1, 1, 2], [0, 80, 40], [[0.0, 1.0, 0.75], [0.2, 0.3, 0.8]]],
        ]
    }


def test_cells_hold_every_seed_and_say_what_is_not_there():
    made = matrix(ends())
    assert made["trained"] == [A, B] and made["arms"]["nbsp"] == {
        "seeds": [0, 1],
        "cells": [[0.9, 0.7], [0.1, 0.3], [0.25, None], [1.0, None]],
    }
    assert made["arms"]["er"] == {"seeds": [0], "cells": [[0.5], [0.0], [None], [None]]}


def written(results):
    for subject, frame in (("learning_curves", evaluations()), ("r_matrix", ends())):
        (results / subject / "window").mkdir(parents=True)
        frame.to_csv(results / subject / "window" / f"{subject}.csv", index=False)
        notebook(results / f"notebooks/{subject}-window.ipynb", "# What?\n\nA.", ("x", [picture()]), "## Conclusion")


def test_only_these_pages_have_them_and_only_where_there_is_a_table(tmp_path):
    assert hover(tmp_path, "r_matrix", "window") == ("", "")
    written(tmp_path)
    sentence, text = hover(tmp_path, "r_matrix", "window")
    data = json.loads(re.search(r"json\" id=\"hover-data\">(.+?)</script>", text)[1])
    assert sentence and data["kind"] == "r_matrix" and data["bounded"] and data["unit"] == "success"
    assert hover(tmp_path, "main_table", "window") == ("", "")


def test_the_first_page_says_what_the_tables_do(tmp_path):
    (tmp_path / "retention").mkdir()
    rows = [(arm, seed, old) for arm, old in zip(report_found.ARMS, (0.7, 0.6, 0.2, 0.1)) for seed in range(4)]
    pair = {"arm": "nbsp", "against": "replay-only", "measure": "old", "mean": 0.1, "low": -0.2, "high": 0.4}
    frames = {"retention": pd.DataFrame(rows, columns=["arm", "seed", "old"]), "retention_pairs": pd.DataFrame([pair])}
    assert report_found.found(tmp_path) is None
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"retention/{name}.csv", index=False)
    found = report_found.found(tmp_path)
    assert [round(each, 6) for each in found["old"]] == [0.7, 0.6, 0.2, 0.1] and found["n"] == 4
    assert (found["mask"], found["low"], found["high"], found["visible"]) == (0.1, -0.2, 0.4, False)
    assert found["second"] is None
    (tmp_path / "second_pair").mkdir()
    pd.DataFrame([pair | {"mean": -0.2, "high": -0.1}]).to_csv(
        tmp_path / "second_pair/retention_pairs.csv", index=False
    )
    second = report_found.found(tmp_path)["second"]
    assert second == {"mask": -0.2, "low": -0.2, "high": -0.1, "visible": True}
    frames["retention"][1:].to_csv(tmp_path / "retention/retention.csv", index=False)  # then no single n can be said
    assert report_found.found(tmp_path) is None


def test_every_table_that_the_site_reads_is_a_dependency_of_its_stage():
    deps = read_yaml(ROOT / "dvc.yaml")["stages"]["report"]["deps"]
    read = ("notebooks", "claims", "retention", "second_pair", "learning_curves", "r_matrix", "main_table")
    assert {f"${{out}}/{name}" for name in read} <= set(deps)


@needs_browser
def test_pointing_says_the_seed_and_its_value(tmp_path):
    written(tmp_path / "results")
    assert build(tmp_path / "site", tmp_path / "results", ROOT) == ""
    with browser() as driver:
        for width in (1300, 400):
            resize(driver, width)
            driver.get((tmp_path / "site/results/r_matrix-window.html").as_uri())
            told, cells = (driver.find_elements(By.CSS_SELECTOR, f"#hover {each}") for each in (".told", "td"))
            cells[2].click()
            assert (
                told[0].text
                == f"nbsp, {A} after position 2 ({B} was trained): mean 0.25; seed 0: 0.25, seed 1: not there."
            )
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
            driver.get((tmp_path / "site/results/learning_curves-window.html").as_uri())
            told, drawn = (driver.find_element(By.CSS_SELECTOR, f"#hover {each}") for each in (".told", "svg"))
            assert "2 seeds of nbsp" in told.text
            ActionChains(driver).move_to_element_with_offset(drawn, drawn.size["width"] // 2 - 12, -110).perform()
            assert told.text == f"nbsp, seed 0, {B}: 1.00 at step 120 of position 2 ({B} in training)."
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        complaints = [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        assert complaints == []
