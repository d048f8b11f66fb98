"""The HTML report and the comparison of tables."""
import re

import nbformat.v4 as v4
import pandas as pd
import pytest

from nbsp_lib.compare import compare, difference
from nbsp_lib.compare import main as compare_main
from nbsp_lib.report import report, summary


def notebook(folder, name, *markdown):
    nb = v4.new_notebook(cells=[v4.new_markdown_cell(text, id=f"cell-{i:03d}") for i, text in enumerate(markdown)])
    stdout = v4.new_output("stream", name="stdout", text="7 < 8\n")
    nb.cells.append(v4.new_code_cell("x = 1", id="code", outputs=[stdout]))
    path = folder / f"{name}.ipynb"
    path.write_text(v4.writes(nb))
    return path


def test_report_links_its_pages_and_needs_no_network(tmp_path):
    a = notebook(tmp_path, "a", "# What is *one*?\n\nA `first` sentence, say. More.", "See [b](../results/b.ipynb).")
    b = notebook(tmp_path, "b", "No heading. Only $x^2$ and text.")
    report(tmp_path / "site", [a, b])
    site = {path.name: path.read_text() for path in (tmp_path / "site").iterdir()}
    assert sorted(site) == ["a.html", "b.html", "index.html", "style.css"]
    assert "What is one?" in site["index.html"] and "A first sentence, say.<" in site["index.html"]
    assert "7 &lt; 8" in site["a.html"] and 'href="b.html">b<' in site["a.html"]
    assert "http" not in site["a.html"] + site["index.html"] + site["style.css"]
    assert "MathJax" in site["b.html"]
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


TABLE = pd.DataFrame({"arm": ["nbsp", "ewc"], "value": [0.5, None]})


@pytest.mark.parametrize(("change", "gap"), [
    (lambda t: t, 0.0),
    (lambda t: t.assign(value=[0.5625, None]), 0.0625),
    (lambda t: t.assign(value=[0.5, 0.5]), float("inf")),
    (lambda t: t.assign(arm=["nbsp", "er"]), float("inf")),
    (lambda t: t.iloc[:1], float("inf")),
    (lambda t: t.rename(columns={"value": "score"}), float("inf")),
])
def test_difference_of_two_tables(change, gap):
    assert difference(change(TABLE), TABLE)[0] == gap


def test_compare_tells_same_close_and_missing(tmp_path):
    for folder in ("found", "expected"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        for name in ("same.csv", "sub/close.csv", "gone.csv"):
            TABLE.to_csv(tmp_path / folder / name, index=False)
    TABLE.assign(value=[0.50001, None]).to_csv(tmp_path / "found/sub/close.csv", index=False)
    lines, met = compare(tmp_path / "found", tmp_path / "expected", 1e-4)
    assert met and [line.split()[0] for line in lines] == ["same", "same", "close"]
    (tmp_path / "found/gone.csv").unlink()
    arguments = [str(tmp_path / "found"), str(tmp_path / "expected")]
    assert compare_main(arguments) == 1
    assert compare_main([*arguments, "--tolerance", "1e-9"]) == 1
    assert compare_main([str(tmp_path), str(tmp_path / "nothing")]) == 2
