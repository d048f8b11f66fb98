"""The learn notebooks: answers are judged rightly, what is shown is what was measured, and the style of the house is kept."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch
from browser import browser, needs_browser
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from nbsp_lib.runs.settings import load_profile
from nbsp_lib.runs.state import load_agent
from nbsp_lib.teaching import explorer, live
from nbsp_lib.teaching.answers import check, problem
from nbsp_lib.training.rollout import rollout

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks/learn").glob("*.py"))
each = pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem[:2])


@pytest.mark.parametrize(
    "answer, right, told",
    [
        (1.0, 2.0, "0.5 times"),
        (-2.0, 2.0, "wrong sign"),
        ([1, 2], [1, 2, 3], r"shape \(2,\), expected \(3,\)"),
        ([1.0, float("nan")], [1.0, 2.0], "divided by 0"),
        ([1.0, 5.0, 3.0], [1.0, 2.0, 3.0], r"1 of 3 places, first at \(1,\): 5 instead of 2"),
        ([2.0, 4.0], [1.0, 2.0], "2 times as large"),
        (1.0, 0.0, "is 1, expected 0"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(answer, right, told):
    assert re.search(told, problem(np.asarray(answer, float), np.asarray(right, float), 1e-6))


def test_a_right_answer_is_right_whatever_it_is_made_of(capsys):
    check(torch.tensor([1.0, 2.0]), np.array([1, 2 + 1e-9]))
    check(0.3, 0.1 + 0.2)
    check([1.0], [2.0], "Think of Adam.", name="the step")
    assert capsys.readouterr().out == "Right.\nRight.\nthe step is 0.5 times as large as it should be. Think of Adam.\n"


def test_the_explorer_shows_the_episode_of_its_film(monkeypatch):
    """Activations, success and scores are those of the rollout; the film has a picture a step it names."""
    monkeypatch.chdir(ROOT)
    seen = explorer.watch()
    about = json.loads((ROOT / "docs/films/film-window-open-learned.json").read_text())
    agent, method = load_agent(about["folder"], about["position"], [about["seed"]])
    played = rollout(agent, about["task"], [about["seed"]], 10, about["episode"], hidden=True, method=method)
    T = about["episode"]
    assert (
        np.array_equal(seen.success, played.success[0, about["goal"]].numpy())
        and seen.success.sum() == about["success_steps"]
    )
    first = played.hidden["critic"][1][0, 1].unflatten(0, (10, T))[about["goal"]]
    assert np.array_equal(seen.activations["critic1"][1], first.numpy())
    assert len(seen.film) == len(about["steps"]) == 8 and seen.film[0].shape[:2] == (180, 240)
    best = explorer.best(seen, "actor", 1)
    scores = seen.scores["actor"][0]
    assert scores[best[0]] == max(scores[n] for n in range(len(scores)) if seen.activations["actor"][0][:, n].any())
    figure = explorer.picture(seen, "actor", 1, best[0], 10)
    drawn = figure.axes[1].lines[0].get_ydata()
    assert np.array_equal(drawn, seen.activations["actor"][0][:, best[0]])


def test_films_are_of_what_their_captions_say():
    """Learned, forgotten, and kept: steps with the goal reached, as recorded when they were made."""
    films = {path.stem.split("-")[-1]: json.loads(path.read_text()) for path in (ROOT / "docs/films").glob("*.json")}
    reached = {name: about["success_steps"] for name, about in films.items()}
    assert reached["learned"] > 50 and reached["forgotten"] == 0 and reached["nbsp"] > 50
    assert all(path.stat().st_size < 300_000 for path in (ROOT / "docs/films").glob("film-*"))


def test_live_training_is_the_trainer_of_the_pipeline(monkeypatch):
    """The same seed alone and beside another; the switch scores, stores and forgets; the curve is the mean reward."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    small = {
        "steps": 800,
        "random_steps": 200,
        "envs": 2,
        "episode": 50,
        "layers": (16, 16),
        "batch": 16,
        "evaluations": 3,
    }
    both = live.train("cartpole", "nbsp", (0, 1), 2, **small)
    one = live.train("cartpole", "nbsp", (1,), 2, **small)
    for k, t in one.trainer.agent.tensors().items():
        assert torch.equal(both.trainer.agent.tensors()[k][1:], t), k
    assert both.trainer.replay.tasks == [0] and (both.scores.status == "scored").all()
    assert np.allclose(both.curves.success, both.curves["return"] / 50) and set(both.curves.position) == {1, 2}
    assert both.before["w1"].shape == both.trainer.agent.actor.params["w1"].shape


@each
def test_the_style_of_the_house(source):
    """A question, prose first, short cells, an exercise with a folded answer, a check, a figure, three sentences at the end."""
    nb = jupytext.read(source)
    prose = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert nb.cells[0].cell_type == "markdown" and re.match(r"# .+\?\n", nb.cells[0].source)
    assert code[0].metadata.get("tags") == ["parameters"]
    written = {
        cell.source: len(ast.unparse(ast.parse(cell.source)).splitlines()) for cell in code
    }  # whatever the layout
    assert not {source: lines for source, lines in written.items() if lines > 15}
    assert (
        prose.count("<details>") == prose.count("</details>") >= 3
        and "**Predict**" in prose
        and "**Your turn**" in prose
    )
    assert "## Exercises" in prose and "$$" in prose and re.search(r"tests/\w+/test_", prose) and "nbsp_lib/" in prose
    assert any("check(" in cell.source for cell in code) and re.search(r"Alt text", prose)
    conclusion = prose.split("## Conclusion\n")[1].strip()
    assert 3 <= len(re.findall(r"[.?!](?:\s|$)", conclusion)) <= 5 and nb.cells[-1].cell_type == "markdown"


@each
def test_links_lead_somewhere(source):
    for target in re.findall(r"\]\(([^)#]+)\)", source.read_text()):
        assert (source.parent / target).exists(), target


def test_the_shipped_profile_runs_all_of_them():
    assert (
        load_profile(ROOT / "params.yaml").grid.learn == tuple(path.stem for path in NOTEBOOKS) and len(NOTEBOOKS) == 8
    )
    readme = (ROOT / "README.md").read_text()
    assert all(f"notebooks/learn/{path.stem}.ipynb" in readme for path in NOTEBOOKS)


@pytest.mark.slow
@needs_browser
def test_in_a_real_browser(tmp_path):
    """JupyterLab in headless Chromium, by keyboard only: run all cells of 03, move the explorer's slider, see another neuron."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    for name in ("docs", "data", "params.yaml", "profiles", "benchmarks", "nbsp_lib", "dvc.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    url, env = (
        "http://127.0.0.1:8899",
        os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")},
    )
    env.pop("TQDM_DISABLE", None)  # where there is a reader, the widget is shown
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        "--allow-root",
        "--port=8899",
        "--LabApp.news_url=None",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
        f"--ServerApp.root_dir={tmp_path}",
    ]
    with open(tmp_path / "lab.log", "w") as log:
        lab = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/api", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        with browser() as driver:

            def until(script, seconds):
                try:
                    WebDriverWait(driver, seconds, 0.5).until(lambda _: driver.execute_script(f"return {script}"))
                except TimeoutException as error:
                    driver.save_screenshot(str(tmp_path / "0-waited.png"))
                    error.msg = f"after {seconds} s not: {script}"
                    raise

            def keys(*pressed):
                ActionChains(driver).send_keys(*pressed).perform()

            driver.get(f"{url}/lab/tree/notebooks/learn/03_which_neurons_carry_a_skill.ipynb")
            until("document.querySelectorAll('.jp-Notebook .jp-Cell').length > 10", 90)
            until("document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'", 90)
            driver.save_screenshot(str(tmp_path / "1-opened.png"))
            driver.execute_script("document.querySelector('.jp-Notebook .jp-Cell').click()")
            keys(Keys.ESCAPE)
            ActionChains(driver).key_down(Keys.CONTROL).send_keys("a", Keys.ENTER).key_up(Keys.CONTROL).perform()
            until("document.querySelectorAll('.jp-Notebook .noUi-handle').length >= 3", 420)
            until("document.querySelectorAll('.jp-Notebook .jp-OutputArea img').length >= 2", 90)
            driver.execute_script(
                "document.querySelector('.jp-Notebook .noUi-handle').scrollIntoView({block: 'center'})"
            )
            time.sleep(1)
            driver.save_screenshot(str(tmp_path / "2-run.png"))
            image = "document.querySelector('.jp-OutputArea .jupyter-widgets img').src.slice(-3000)"
            before = driver.execute_script(f"return {image}")
            driver.execute_script("document.querySelectorAll('.jp-Notebook .noUi-handle')[1].focus()")
            keys(Keys.ARROW_RIGHT)
            until(f"{image} !== {json.dumps(before)}", 60)
            driver.save_screenshot(str(tmp_path / "3-moved.png"))
            assert driver.execute_script(
                "return !document.querySelector('[data-mime-type=\"application/vnd.jupyter.error\"]')"
            )
    finally:
        lab.terminate()
        lab.wait(20)
