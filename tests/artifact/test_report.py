"""The site of the results: of a few notebooks, and in a real browser."""

import base64
import contextlib
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat.v4 as v4
import numpy as np
import pandas as pd
import pytest
from browser import browser, needs_browser, resize
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from nbsp_lib.artifact.report import build
from nbsp_lib.artifact.report_api import escaped, module_page, modules
from nbsp_lib.artifact.report_explorer import films
from nbsp_lib.artifact.report_pages import Sources, alternative, summary
from nbsp_lib.runs.strict import read_yaml
from nbsp_lib.teaching.explorer import best, watch

ROOT = Path(__file__).resolve().parents[2]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning")
VOID = re.compile(r"^([a-z]+:|//|mailto:)")


def notebook(path, *cells):
    """A notebook of Markdown cells (str) and of code cells (tuples of source and outputs)."""
    ids = [f"cell-{i:03d}" for i in range(len(cells))]
    made = [
        v4.new_markdown_cell(cell, id=i)
        if isinstance(cell, str)
        else v4.new_code_cell(cell[0], id=i, outputs=list(cell[1]))
        for i, cell in zip(ids, cells)
    ]
    metadata = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(v4.writes(v4.new_notebook(cells=made, metadata=metadata)))


def picture():
    return v4.new_output("display_data", {"image/png": PIXEL})


def small(results):
    """Results of a profile with two sequences, one of them without a name in the contents, one teaching page, and one claim."""
    wide = (
        "<table class='dataframe'><tr>" + "".join(f"<td>a cell of column {i}</td>" for i in range(30)) + "</tr></table>"
    )
    notebook(
        results / "notebooks/01_why.ipynb",
        "# Why $x^2$?\n\nSee [the protocol](../../docs/protocol.md), [the table](../results/main_table.ipynb).",
        ("y = 1", [picture()]),
        "*Alt text: a line that [falls](x.md).*\n\n$$y = \\frac{1}{2}$$",
    )
    for sequence in ("drawer", "unknown"):
        notebook(
            results / f"notebooks/main_table-{sequence}.ipynb",
            "# Which arm keeps *it*?\n\nA `first` sentence, say. More.",
            ("x = 1", [v4.new_output("stream", name="stdout", text="7 < 8\n")]),
            "## Picture\n\nPoints are seeds.",
            ("draw()", [picture()]),
            ("table", [v4.new_output("display_data", {"text/html": wide})]),
        )
    notebook(results / "notebooks/train-drawer-nbsp.ipynb", "# A run\n\nIt trains.")
    notebook(results / "notebooks/silencing-drawer.failed.ipynb", "# Broken")
    notebook(results / "notebooks/claims.ipynb", "# Which claims?\n\nSee `data`.")
    for path in (ROOT / "notebooks").glob("*/*.ipynb"):
        shutil.copy(path, results / "notebooks")
    (results / "claims").mkdir()
    row = {
        "claim": "C1",
        "text": "masks help",
        "verdict": "partly (indicative)",
        "seeds": 3,
        "holding": 2,
        "compared": 4,
        "missing": 1,
    }
    pd.DataFrame([{**row, "measure": measure} for measure in ("asr", "fm")]).to_csv(
        results / "claims/claims.csv", index=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    small(folder / "results")
    assert build(folder / "site", folder / "results", ROOT) == ""  # no warning
    return folder / "site"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.pictures, self.loaded = [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag == "img":
            self.pictures.append(attrs)
        if tag in ("img", "script", "iframe", "source") and attrs.get("src"):
            self.loaded.append(attrs["src"])
        if tag == "link" and attrs.get("href") and "stylesheet" in attrs.get("rel", ""):
            self.loaded.append(attrs["href"])


def pages(site):
    return {path: Page(path.read_text()) for path in site.rglob("*.html") if "_static" not in path.parts}


def check_pages(site):
    """All links alive, with their anchors; nothing from a network; every picture says what it shows."""
    found = pages(site)
    for path, page in found.items():
        for link in page.links + page.loaded:
            if VOID.match(link):
                assert link in page.links and not link.startswith("//"), (path, link)
                continue
            target, _, anchor = link.split("?")[0].partition("#")
            there = (path.parent / unquote(target)).resolve() if target else path
            assert there.is_file(), (path, link)
            if anchor and there in found:
                assert unquote(anchor) in found[there].ids, (path, link)
        assert all(one.get("alt") and not one["alt"].endswith((".png", ".svg", ".gif")) for one in page.pictures), path
    return found


def test_links_pictures_and_nothing_from_a_network(site):
    found = check_pages(site)
    assert {
        f"{name}.html"
        for name in (
            "index",
            "learn/01_why",
            "results/index",
            "results/main_table-drawer",
            "results/drawer",
            "results/unknown",
            "results/training",
            "docs/protocol",
            "REPRODUCE",
            "api/index",
            "api/nbsp_lib.methods.nbsp",
        )
    } <= {path.relative_to(site).as_posix() for path in found}
    assert not list(site.rglob("*failed*")) and not (site / ".buildinfo").exists()


def test_a_page_of_results_is_named_folded_and_can_be_downloaded(site):
    text = (site / "results/main_table-drawer.html").read_text()
    assert "<title>Main table: drawer" in text and "<strong>Which arm keeps it?</strong>" in text and "7 &lt; 8" in text
    assert text.count('<details class="admonition hide above-input') == 3 and 'alt="Picture. Points are seeds"' in text
    learn = (site / "learn/01_why.html").read_text()
    assert "hide above-input" not in learn and 'alt="a line that falls."' in learn
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in learn and "<mfrac>" in learn
    assert not re.search(r"mathjax[@.]|/mathjax", learn, re.I)
    assert (
        re.search(r'href="(\.\./)?results/main_table(-\w+)?\.html"', learn) and 'href="../docs/protocol.html"' in learn
    )
    for page in (text, learn):
        (link,) = set(re.findall(r'href="([^"]*_sources/[^"]*\.ipynb)"', page))
        assert (site / "results" / link).is_file()


def test_the_first_page_shows_the_verdicts_once(site):
    text = (site / "index.html").read_text()
    assert text.count("masks help") == 1 and '<span class="verdict partly">partly (indicative)</span>' in text
    assert "2 of 4, 1 not run" in text and "1 partly." in text and "retention.svg" not in text


def test_the_same_results_make_the_same_bytes(site, tmp_path):
    small(tmp_path / "results")
    build(tmp_path / "again", tmp_path / "results", ROOT)
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (site, tmp_path / "again")
    )
    assert first == second and len(first) > 100


def test_what_is_copied_into_the_site_is_a_dependency_of_its_stage(tmp_path):
    deps = read_yaml(ROOT / "dvc.yaml")["stages"]["report"]["deps"]
    documents = [path for group in read_yaml(ROOT / "site/contents.yaml")["documents"].values() for path in group]
    sources = Sources(ROOT, tmp_path)
    notebooks = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*/*.py")]
    for path in [*documents, *notebooks]:
        sources.relinked((ROOT / path).read_text(), path, path)
    copied = [
        path.relative_to(tmp_path).as_posix().removeprefix("files/") for path in tmp_path.rglob("*") if path.is_file()
    ]
    outside = {
        path for path in [*documents, *copied] if not any(path == dep or path.startswith(f"{dep}/") for dep in deps)
    }
    assert copied and {path for path in outside if not path.startswith("notebooks/")} == set()


def test_formulas_of_the_notebooks_and_documents_leave_no_latex_behind(site):
    """A command that the translation does not know would stand in the page as it is written."""
    formulas = [found for path in site.rglob("*.html") for found in re.findall(r"<math.*?</math>", path.read_text())]
    assert len(formulas) > 50 and not [found for found in formulas if "\\" in found]


def test_summary_without_prose():
    assert summary(v4.new_notebook(), "stem") == ("stem", "")
    assert alternative([v4.new_code_cell("x")], 0) == "Figure"


def test_a_docstring_is_shown_as_it_is_written():
    assert escaped("A `b*c` of x_1 [P, T] < *2*.") == r"A `b*c` of x\_1 \[P, T\] \< \*2\*."
    assert escaped("One:\n\n    Two.\n\n        a  b\n") == "One:\n\nTwo.\n\n```text\n    a  b\n```"


def test_every_module_has_a_page_with_its_public_functions():
    found = {module: path for members in modules(ROOT / "nbsp_lib").values() for module, path in members}
    text, sentence = module_page(
        found["nbsp_lib.artifact.report_api"], "nbsp_lib.artifact.report_api", "/x.py", ("a", "/b")
    )
    assert "{py:function} escaped(docstring)" in text and sentence.startswith("Pages of the site about the library")
    written = {path for path in (ROOT / "nbsp_lib").rglob("*.py") if path.read_text().strip()}
    assert {path.relative_to(ROOT / "nbsp_lib").parts[0] for path in written - set(found.values())} == {
        "campaign",
        "cli.py",
        "usage.py",
    }


def test_the_explorer_holds_what_the_notebook_draws(monkeypatch, site):
    monkeypatch.chdir(ROOT)
    seen, film = watch("film-window-open-learned"), films()[0]
    layer, order = film["networks"]["critic1"][1], best(seen, "critic1", 2)
    levels = np.frombuffer(base64.b64decode(layer["levels"]), np.uint8).reshape(len(order), 200)
    drawn = levels * np.array(layer["top"])[:, None] / 255
    measured = seen.activations["critic1"][1][:, order].T
    assert layer["neurons"] == order and np.allclose(drawn, measured, atol=np.max(layer["top"]) / 500)
    assert np.allclose(layer["scores"], seen.scores["critic1"][1][order], atol=1e-4) and film["success"] == list(
        seen.success > 0
    )
    assert all(score is None for score in films()[1]["networks"]["actor"][0]["scores"])  # forgotten: nothing to score
    assert (site / "learn/explorer.html").stat().st_size < 2e6


WIDE = """return [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest('.output, .wide, pre, .formula, .pst-scrollable-table-container')
    && !e.closest('.bd-sidebar-secondary, .sbt-scroll-pixel-helper'))
    .map(e => e.outerHTML.slice(0, 120))"""


def check_in_a_browser(site, names):
    """At both widths: nothing is wider than the page but what scrolls in a box of its own, and nothing complains."""
    with browser() as driver:
        for name in names:
            driver.get((site / name).as_uri())
            for width in (1300, 400):
                resize(driver, width)
                # a busy machine lays a page out some time after it has loaded
                with contextlib.suppress(TimeoutException):
                    WebDriverWait(driver, 30).until(lambda _: not driver.execute_script(WIDE))
                assert driver.execute_script(WIDE) == [], (name, width)
                assert driver.execute_script("return document.documentElement.scrollWidth") <= width, (name, width)
            complaints = [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
            assert complaints == [], (name, complaints)
        driver.get((site / "search.html").as_uri() + "?q=forgetting")
        WebDriverWait(driver, 30).until(lambda _: driver.find_elements(By.CSS_SELECTOR, "#search-results li"))
        driver.get((site / "learn/explorer.html").as_uri())
        told = driver.find_element(By.CSS_SELECTOR, "#explorer .told")
        for name in ("rank", "step", "layer", "network"):
            before, pressed = told.text, Keys.ARROW_RIGHT if name in ("rank", "step") else Keys.ARROW_DOWN
            driver.find_element(By.CSS_SELECTOR, f"#explorer [name={name}]").send_keys(pressed)
            assert told.text != before, name


@needs_browser
def test_in_a_real_browser(site):
    check_in_a_browser(
        site,
        [
            "index.html",
            "learn/01_why.html",
            "results/main_table-drawer.html",
            "results/index.html",
            "docs/protocol.html",
            "docs/methods.html",
            "learn/explorer.html",
            "REPRODUCE.html",
            "api/nbsp_lib.core.neurons.html",
        ],
    )
