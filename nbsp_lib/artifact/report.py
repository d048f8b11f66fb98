"""Executed notebooks as a small HTML site: `python -m nbsp_lib.artifact.report out_dir notebook.ipynb ...`.

One page a notebook in the order given, index.html with titles and first sentences, one style sheet. Pages are
byte-stable and need neither network nor script: formulas become MathML, which browsers draw themselves.
"""
from __future__ import annotations

import argparse
import re
import sys
from html import escape
from pathlib import Path

CSS = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; color: #222; }
nav { display: flex; justify-content: space-between; margin: 1rem 0; border: solid #ddd; border-width: 1px 0; }
a { color: #0b5394; }
.anchor-link { visibility: hidden; text-decoration: none; }
:hover > .anchor-link { visibility: visible; }
pre, code { font: 13px/1.45 monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
math[display="block"] { margin: .8rem 0; overflow-x: auto; }
.input_area pre { margin: .4rem 0; padding: .6rem; background: #f6f7f9; }
.output { margin: .2rem 0 .8rem .8rem; overflow-x: auto; }
.prompt { display: none; }
img, svg { max-width: 100%; height: auto; }
details { border-left: 3px solid #ddd; padding-left: .8rem; }
table { border-collapse: collapse; font-size: 13px; }
td, th { border: 0; padding: .2rem .7rem; }
thead { border-bottom: 1px solid #888; }
tr:nth-child(even) { background: #f6f7f9; }
dt { font-weight: bold; margin-top: .8rem; }
dd { margin-left: 0; }
small { color: #777; font-weight: normal; }
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
{body}
</body>
</html>
"""
ORDER = ("0", "main_table", "learning_curves", "r_matrix", "claims", "score_report", "score_distribution", "activation_split",
         "silencing", "overlap", "clock", "graft", "awakening", "filters", "plasticity", "retention", "training_gate", "evaluate",
         "neurons", "train-")


def summary(nb, stem) -> tuple[str, str]:
    """Title and first sentence of a notebook, as plain text: its first heading (else stem) and what follows it."""
    prose = "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    heading = re.search(r"^#+\s+(.+?)\s*$", prose, re.M)
    title = heading[1] if heading else stem
    after = prose[heading.end() if heading else 0:]
    blocks = [" ".join(block.split()) for block in re.split(r"\n\s*\n", after)]
    text = next((block for block in blocks if block and block[0] not in "#<|$"), "")
    sentence = re.match(r".+?[.?!](?=\s|$)", text)
    return _plain(title), _plain(sentence[0] if sentence else text)


def _plain(markdown) -> str:
    return re.sub(r"\*\*|`|(?<!\w)[*_]|[*_](?!\w)", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown))


def _navigation(stems, i) -> str:
    before = f'<a href="{stems[i - 1]}.html">&larr; {stems[i - 1]}</a>' if i > 0 else "<span></span>"
    after = f'<a href="{stems[i + 1]}.html">{stems[i + 1]} &rarr;</a>' if i + 1 < len(stems) else "<span></span>"
    return f'<nav>{before}<a href="index.html">index</a>{after}</nav>'


def _local_links(html, stems) -> str:
    """Links to a notebook of the report lead to its page."""
    def page(match):
        return f'href="{match[1]}.html"' if match[1] in stems else match[0]
    return re.sub(r'href="(?:[^":]*/)?([^"/:]+)\.(?:ipynb|py)"', page, html)


def _exporter():
    """nbconvert's own, but for the formulas."""
    from jinja2 import pass_context
    from latex2mathml.converter import convert
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body):
            return convert(body)

        def block_math(self, body):
            return convert(body, display="block")

    class Exporter(HTMLExporter):
        @pass_context
        def markdown2html(self, context, source):
            return MarkdownWithMath(renderer=Renderer(escape=False, anchor_link_text=self.anchor_link_text)).render(source)

    return Exporter(template_name="basic")


def report(out, notebooks, title="Executed notebooks"):
    """Writes the site into the folder out; notebooks = paths of executed files, no two of one name. ValueError."""
    import nbformat
    from pygments.formatters import HtmlFormatter
    stems = [Path(path).stem for path in notebooks]
    if len(set(stems)) < len(stems):
        raise ValueError(f"two notebooks of one name: {sorted(stem for stem in set(stems) if stems.count(stem) > 1)}")
    exporter = _exporter()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    entries = []
    for i, (path, stem) in enumerate(zip(notebooks, stems, strict=True)):
        nb = nbformat.read(path, as_version=4)
        name, sentence = summary(nb, stem)
        body = _local_links(exporter.from_notebook_node(nb)[0], stems)
        body = "\n".join([_navigation(stems, i), body, _navigation(stems, i)])
        _write(out / f"{stem}.html", PAGE.format(title=escape(name), body=body))
        entries.append(f'<dt><a href="{stem}.html">{escape(name)}</a> <small>{stem}</small></dt><dd>{escape(sentence)}</dd>')
    index = "\n".join([f"<h1>{escape(title)}</h1>", "<dl>", *entries, "</dl>"])
    _write(out / "index.html", PAGE.format(title=escape(title), body=index))
    _write(out / "style.css", CSS.lstrip() + HtmlFormatter().get_style_defs(".highlight") + "\n")


def found(paths) -> list[Path]:
    """The notebooks among paths; a folder stands for its notebooks, results first, without what a failed run left."""
    notebooks = []
    for path in map(Path, paths):
        inside = sorted(path.glob("*.ipynb")) if path.is_dir() else [path]
        rank = lambda one: next((i for i, name in enumerate(ORDER) if one.stem.startswith(name)), len(ORDER))
        notebooks += sorted((one for one in inside if not one.name.endswith(".failed.ipynb")), key=rank)
    return notebooks


def _write(path, text):
    path.write_text(text, encoding="utf-8", newline="\n")


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nbsp_lib.artifact.report", description="Executed notebooks as HTML pages.")
    parser.add_argument("out_dir")
    parser.add_argument("notebooks", nargs="+", help="executed notebooks, or folders of them")
    args = parser.parse_args(argv)
    try:
        report(args.out_dir, found(args.notebooks))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
