"""The site of the results: `python -m nbsp_lib.artifact.report out_dir results_dir`.

Lays out its sources in a temporary folder (executed notebooks and tables of results_dir, documents and library of the
repository) and calls Sphinx in this process. What stands where is said in site/contents.yaml; settings, templates and styles lie
beside it. Pages are byte-stable and need no network. What is missing, as in a small profile, is left out.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import jinja2
import nbformat

from nbsp_lib.artifact.report_api import library_pages, modules
from nbsp_lib.artifact.report_first_page import shown
from nbsp_lib.artifact.report_found import found as findings
from nbsp_lib.artifact.report_found import main_figure
from nbsp_lib.artifact.report_hover import hover
from nbsp_lib.artifact.report_pages import Sources, summary
from nbsp_lib.runs.files import enter_repository
from nbsp_lib.runs.strict import read_yaml

UNUSED = ("**/*.map", "_static/locales", "_static/*webpack-macros.html", ".buildinfo")
EXPLORED = "03_which_neurons_carry_a_skill"  # the notebook whose widget is also a page


def found(folder) -> list[Path]:
    """Returns the executed notebooks of a folder, without those of failed runs."""
    return [path for path in sorted(Path(folder).glob("*.ipynb")) if not path.name.endswith(".failed.ipynb")]


class Site:
    """The sources of the site of one folder of results."""

    def __init__(self, results, folder, root="."):
        self.results, self.root = Path(results), Path(root)
        self.contents = read_yaml(self.root / "site/contents.yaml")
        self.sources = Sources(root, folder)
        loader = jinja2.FileSystemLoader(self.root / "site/templates")
        self.templates = jinja2.Environment(
            loader=loader, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )
        self.notebooks = {path.stem: path for path in found(self.results / "notebooks")}
        self.subjects = {name: title for group in self.contents["subjects"].values() for name, title in group.items()}
        self.toctrees = {}

    def render(self, template, page, **values):
        self.sources.write(page, self.templates.get_template(template).render(**values))

    def list_page(self, page, title, text, groups, below=True):
        """Writes a page of links: groups = {heading: [(title, page, sentence)]}; below: also in the sidebar under it."""
        self.render("list.md", page, title=title, text=text, groups=groups, below=below)

    def lay_out(self):
        self.name_pages()
        self.learn()
        self.results_pages()
        for group, documents in self.documents.items():
            self.toctrees[group] = [
                (title, self.sources.pages[path].removesuffix(".md")) for path, title in documents.items()
            ]
            for path in documents:
                self.sources.document(path, self.sources.pages[path])
        self.api()
        self.first_page()

    def name_pages(self):
        """Which page is which file of the repository, before any of them is written, so that all can link to all."""
        named, pages = self.contents["documents"], self.sources.pages
        self.documents = {
            group: {path: title for path, title in documents.items() if (self.root / path).exists()}
            for group, documents in named.items()
        }
        known = {path for documents in named.values() for path in documents}
        for path in sorted((self.root / "docs").glob("*.md")):
            path = path.relative_to(self.root).as_posix()
            if path not in known:
                heading = re.match(r"# (.+)", (self.root / path).read_text(encoding="utf-8"))
                self.documents[self.contents["others"]][path] = re.split(r"[:,]", heading[1])[0] if heading else path
        pages |= {path: path for documents in self.documents.values() for path in documents}
        self.teaching = [stem for stem in self.notebooks if re.match(r"\d\d_", stem)]
        for stem in self.notebooks:
            if stem in self.teaching:
                page, sources = f"learn/{stem}.ipynb", [f"notebooks/learn/{stem}"]
            else:
                subject, _ = self.split(stem)
                page = f"results/{stem}.ipynb"
                sources = [f"notebooks/results/{stem}", f"notebooks/results/{subject}", f"notebooks/pipeline/{subject}"]
            for source in sources:
                for suffix in (".ipynb", ".py"):
                    pages.setdefault(source + suffix, page)
        for members in modules(self.root / "nbsp_lib").values():
            pages |= {path.relative_to(self.root).as_posix(): f"api/{module}.md" for module, path in members}
        pages |= {"nbsp_lib": "api/index.md", "results/report/index.html": "index.md"}

    def split(self, stem) -> tuple[str, str]:
        """Subject and sequence of a notebook; the sequence is empty if it is one of a kind."""
        for subject in (*self.subjects, "train"):
            if stem.startswith(f"{subject}-"):
                return subject, stem.removeprefix(f"{subject}-")
        return stem, ""

    def learn(self):
        if not self.teaching:
            return
        entries = []
        for stem in self.teaching:
            self.sources.notebook(self.notebooks[stem], f"notebooks/learn/{stem}.ipynb", f"learn/{stem}.ipynb")
            title, sentence = summary(nbformat.read(self.notebooks[stem], as_version=4), stem)
            entries.append((f"{int(stem[:2])} · {title}", f"learn/{stem}", sentence))
        if EXPLORED in self.teaching:
            from nbsp_lib.artifact.report_explorer import films

            data = json.dumps(films(), separators=(",", ":"))
            self.render("explorer.md", "learn/explorer.md", data=data)
            entries.append(("Any neuron beside its film", "learn/explorer", "An explorer without a kernel."))
        text = "Each asks one question, runs in minutes on a laptop with real agents, and has exercises with folded answers."
        self.list_page("learn/index.md", "Learn by looking", text, {"": entries}, below=False)
        self.toctrees["Learn"] = [("All notebooks", "learn/index"), *((title, doc) for title, doc, _ in entries)]

    def results_pages(self):
        """A page for each notebook, a list for each sequence, one for training, and a table over all."""
        pages, single, named = {}, [], self.contents["sequences"]
        for stem in [*(s for s in self.contents["single"] if s in self.notebooks), *self.notebooks]:
            if stem in self.teaching or any(doc == f"results/{stem}" for _, doc, _ in [*pages.values(), *single]):
                continue
            subject, sequence = self.split(stem)
            nb = nbformat.read(self.notebooks[stem], as_version=4)
            question, sentence = summary(nb, stem)
            other = "Training" if sequence else question
            short = self.contents["single"].get(stem) or self.subjects.get(subject) or other
            source = (
                f"notebooks/{'pipeline' if subject in ('train', 'evaluate', 'neurons') else 'results'}/{subject}.ipynb"
            )
            title = f"{short.rstrip('?')}: {sequence}" if sequence else short
            below = hover(self.results, subject, sequence)
            self.sources.notebook(self.notebooks[stem], source, f"results/{stem}.ipynb", title, below)
            if sequence:
                entry = (
                    (sequence, f"results/{stem}", "") if subject == "train" else (short, f"results/{stem}", question)
                )
                pages[subject, sequence] = entry
            else:
                single.append((short, f"results/{stem}", f"{question} {sentence}"))
        present = {sequence for subject, sequence in pages if subject != "train"}
        sequences = {s: named.get(s, s) for s in [*(s for s in named if s in present), *sorted(present - set(named))]}
        lists = []
        for sequence, title in sequences.items():
            groups = {
                group: [pages[subject, sequence] for subject in subjects if (subject, sequence) in pages]
                for group, subjects in self.contents["subjects"].items()
            }
            text = f"What was measured on the sequence `{sequence}`, a page for each question."
            filled = {group: entries for group, entries in groups.items() if entries}
            self.list_page(f"results/{sequence}.md", title, text, filled)
            lists.append((title, f"results/{sequence}"))
        if trained := [page for (subject, _), page in pages.items() if subject == "train"]:
            text = "The notebook of every run that was trained under this profile."
            self.list_page("results/training.md", "Training runs", text, {"": trained})
            lists.append(("Training runs", "results/training"))
        matrix = {
            title: [pages.get((subject, sequence), ("", None))[1] for sequence in sequences]
            for subject, title in self.subjects.items()
        }
        self.render(
            "results.md",
            "results/index.md",
            single=single,
            sequences=sequences,
            matrix={title: docs for title, docs in matrix.items() if any(docs)},
        )
        self.toctrees["Results"] = [("Overview", "results/index"), *((title, doc) for title, doc, _ in single), *lists]

    def api(self):
        """A page for each module, a list for each folder, and a list of these."""
        folders = []
        for name, page, entries in library_pages(self.root, self.sources):
            self.list_page(page, name, "What each module is for; its page has its source.", {"": entries}, below=False)
            folders.append((name, page.removesuffix(".md"), f"{len(entries)} modules"))
        text = "Every module of `nbsp_lib` that other code imports: what it offers, and its source. Commands have `--help`."
        self.list_page("api/index.md", "The library", text, {"": folders})
        self.toctrees["Use it"].append(("The library", "api/index"))

    def first_page(self):
        """The question, the main figure, the verdicts, where to go next: from tables, never typed."""
        groups = ("Learn", "Results", "Methods", "Use it")
        self.render(
            "index.md",
            "index.md",
            **shown(self.results, self.root, self.sources),
            findings=findings(self.results),
            balance=main_figure(self.results, self.contents["sequences"], self.sources.folder / "results/figures"),
            learn=len(self.teaching),
            toctrees={group: self.toctrees[group] for group in groups if group in self.toctrees},
        )


def build(out, results, root=".") -> str:
    """Writes the site into the folder out, instead of what was there; returns what Sphinx warns of."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    out, warnings, settings = Path(out), io.StringIO(), str(Path(root, "site").resolve())
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source", Path(folder) / "site"
        Site(results, source, root).lay_out()
        with patch_docutils(settings), docutils_namespace():
            app = Sphinx(
                source, settings, made, Path(folder) / "doctrees", "html", status=None, warning=warnings, freshenv=True
            )
            app.build(force_all=True)
        for pattern in UNUSED:
            for path in sorted(made.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(made, out)
        return re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue()).replace(f"{source}/", "")


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nbsp_lib.artifact.report", description="The site of a folder of results."
    )
    parser.add_argument("out_dir")
    parser.add_argument("results_dir", help="folder with notebooks/ and the tables beside it, as the pipeline makes it")
    args = parser.parse_args(argv)
    enter_repository()
    try:
        print(build(args.out_dir, args.results_dir), end="", file=sys.stderr)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
