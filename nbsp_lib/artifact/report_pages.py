"""Sources of the site: executed notebooks and Markdown files with their links, titles, folds and alternative texts."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import v4

LINK = re.compile(r"\]\((?![a-z]+:|[/#])([^)\s#]+)(#[^)\s]*)?\)")
UNLINKED = ("dvc.yaml", ".ipynb", ".md")  # may be no dependency of its own stage; belong to no page of this site
PICTURES = (".gif", ".jpg", ".png", ".svg")


def summary(nb, stem) -> tuple[str, str]:
    """Title and first sentence of a notebook, as plain text: its first heading (else stem) and what follows it."""
    prose = "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    heading = re.search(r"^#+\s+(.+?)\s*$", prose, re.M)
    title = heading[1] if heading else stem
    after = prose[heading.end() if heading else 0 :]
    blocks = [" ".join(block.split()) for block in re.split(r"\n\s*\n", after)]
    text = next((block for block in blocks if block and block[0] not in "#<|$"), "")
    sentence = re.match(r".+?[.?!](?=\s|$)", text)
    return plain(title), plain(sentence[0] if sentence else text)


def plain(markdown) -> str:
    """Markdown without links and marks."""
    return re.sub(r"\*\*|`|(?<!\w)[*_]|[*_](?!\w)", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown))


def alternative(cells, i) -> str:
    """What the picture of cell i shows: the alt text that follows it, else the heading and first lines before it."""
    after = cells[i + 1].source if i + 1 < len(cells) and cells[i + 1].cell_type == "markdown" else ""
    if found := re.match(r"\*Alt text: (.+?)\*\s*(\n\n|$)", after, re.S):
        return plain(" ".join(found[1].split()))
    before = next((cell.source for cell in reversed(cells[:i]) if cell.cell_type == "markdown"), "")
    blocks = [" ".join(block.lstrip("#").split()) for block in re.split(r"\n\s*\n|(?<=\S)\n(?=\n)", before)]
    text = ". ".join(block.rstrip(".") for block in blocks if block and block[0] not in "<|$")
    return plain(text)[:300].replace('"', "'") or "Figure"


class Sources:
    """The folder of sources: which file of the repository is which page, and where everything else may be downloaded."""

    def __init__(self, root, folder):
        self.root, self.folder, self.pages = (
            Path(root),
            Path(folder),
            {},
        )  # pages: path in the repository -> source file

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    def copy(self, path, name=None) -> str:
        """A file of the repository copied to a name of its own (default: the same), which is returned."""
        name = name or str(path)
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.root / path, self.folder / name)
        return name

    def relinked(self, text, source, page):
        """Links of a file of the repository, as links of a page: to other pages, to copies of files; else only their text."""

        def there(match):
            target = os.path.normpath(os.path.join(os.path.dirname(source), match[1]))
            if target not in self.pages and (target.endswith(UNLINKED) or not (self.root / target).is_file()):
                return "]{.gone}"
            name = self.pages.get(target) or self.copy(
                target, target if target.endswith(PICTURES) else f"files/{target}"
            )
            return f"]({os.path.relpath(name, os.path.dirname(page) or '.')}{match[2] or ''})"

        return LINK.sub(there, text)

    def document(self, source, page):
        self.write(page, self.relinked((self.root / source).read_text(encoding="utf-8"), source, page))

    def notebook(self, path, source, page, title=None, below=("", "")):
        """An executed notebook as page; with a title, which then stands above its question, its code is folded.

        below: a sentence and HTML that stand below its last figure; the HTML in a file, so that a downloaded notebook is without.
        """
        nb = nbformat.read(path, as_version=4)
        nb.metadata["language_info"] = {
            "name": "python",
            "pygments_lexer": "ipython3",
        }  # an executed page names no language
        question, _ = summary(nb, path.stem)
        tags = {tag for cell in nb.cells for tag in cell.metadata.get("tags", [])}
        if "injected-parameters" in tags:  # they follow the defaults
            nb.cells = [cell for cell in nb.cells if "parameters" not in cell.metadata.get("tags", [])]
        for i, cell in enumerate(nb.cells):
            if cell.cell_type == "markdown":
                cell.source = self.relinked(cell.source, source, page)
            elif cell.cell_type == "code":
                if title:
                    cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
                if any("image/png" in output.get("data", {}) for output in cell.outputs):
                    cell.metadata["mystnb"] = {"image": {"alt": alternative(nb.cells, i)}}
        if below[1]:
            drawn = [i for i, cell in enumerate(nb.cells) if "mystnb" in cell.metadata]
            self.write(f"{page}.below.html", below[1])
            text = f"{below[0]}\n\n```{{raw}} html\n:file: {Path(page).name}.below.html\n```"
            nb.cells.insert(drawn[-1] + 1 if drawn else len(nb.cells), v4.new_markdown_cell(text, id="below"))
        if title and nb.cells:
            nb.cells[0].source = re.sub(r"\A#\s.*", f"# {title}\n\n**{question}**", nb.cells[0].source)
        self.write(page, nbformat.writes(nb) + "\n")
