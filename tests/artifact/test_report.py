"""The HTML report."""
import re
from pathlib import Path

import nbformat.v4 as v4
import pytest

from nbsp_lib.artifact.report import report, summary

ROOT = Path(__file__).resolve().parents[2]


def notebook(folder, name, *markdown):
    nb = v4.new_notebook(cells=[v4.new_markdown_cell(text, id=f"cell-{i:03d}") for i, text in enumerate(markdown)])
    stdout = v4.new_output("stream", name="stdout", text="7 < 8\n")
    nb.cells.append(v4.new_code_cell("x = 1", id="code", outputs=[stdout]))
    path = folder / f"{name}.ipynb"
    path.write_text(v4.writes(nb))
    return path


def test_report_links_its_pages_and_needs_no_network(tmp_path):
    a = notebook(tmp_path, "a", "# What is *one*?\n\nA `first` sentence, say. More.", "See [b](../results/b.ipynb).")
    b = notebook(tmp_path, "b", "No heading. Only $x^2$ and text, `$HOME`.\n\n$$y = \\frac{1}{2}$$")
    report(tmp_path / "site", [a, b])
    site = {path.name: path.read_text() for path in (tmp_path / "site").iterdir()}
    assert sorted(site) == ["a.html", "b.html", "index.html", "style.css"]
    assert "What is one?" in site["index.html"] and "A first sentence, say.<" in site["index.html"]
    assert "7 &lt; 8" in site["a.html"] and 'href="b.html">b<' in site["a.html"]
    assert not re.search(r'(src|href)="http', "".join(site.values())) and "<script" not in "".join(site.values())
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in site["b.html"] and "<mfrac>" in site["b.html"]
    assert "$HOME" in site["b.html"] and site["b.html"].count("$") == 1                         # formulas leave no dollar behind
    for page in site.values():                                      # every relative link leads to a file of the site
        assert set(re.findall(r'href="([^"#:]+)"', page)) <= set(site)
    report(tmp_path / "again", [a, b])
    assert {path.name: path.read_text() for path in (tmp_path / "again").iterdir()} == site


def test_report_refuses_two_notebooks_of_one_name(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match="one name"):
        report(tmp_path / "site", [notebook(tmp_path, "a", "x"), notebook(tmp_path / "other", "a", "x")])


def test_summary_without_prose():
    assert summary(v4.new_notebook(), "stem") == ("stem", "")


def test_formulas_of_the_notebooks_leave_no_latex_behind(tmp_path):
    """A command that the translation does not know would stand in the page as it is written."""
    report(tmp_path, sorted((ROOT / "notebooks").glob("*/*.ipynb")))
    formulas = [found for path in tmp_path.glob("*.html") for found in re.findall(r"<math.*?</math>", path.read_text())]
    assert len(formulas) > 50 and not [found for found in formulas if "\\" in found]
