"""What a run's numbers depend on, as short hashes: the code that decides training, and a method's own files.

Comments, docstrings, imports, the place of a definition and the version of Python change no hash. data/code_versions.csv joins
the hashes of code that was shown to give the same numbers.
"""

from __future__ import annotations

import ast
import csv
import functools
import hashlib
import re
import sys
from pathlib import Path

from nbsp_lib.methods import METHODS, find
from nbsp_lib.runs.settings import config_hash

LIBRARY = Path(__file__).parents[1]
DECIDES = ("core", "envs", "training")  # folders of the library; of methods/, the files that a method is made of
VERSIONS = LIBRARY.parent / "data" / "code_versions.csv"


def plain(node):
    """A syntax tree as text, the same in every version of Python: fields that are empty or None are left out."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({', '.join(f'{name}={plain(value)}' for name, value in fields)})"
    return f"[{', '.join(map(plain, node))}]" if isinstance(node, list) else repr(node)


def definitions(path):
    """What a file defines: its statements as texts, without imports, docstrings and comments."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            node.body = body[1:]
    return [plain(node) for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]


def imports(file):
    """[(folder to look in, parts of a module's name)] of what a file may import from its own folder or package."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names, level = [alias.name for alias in node.names], 0
        elif isinstance(node, ast.ImportFrom):
            names, level = [f"{node.module or ''}.{alias.name}".strip(".") for alias in node.names], node.level
        else:
            continue
        for name in names:
            parts = name.removeprefix("nbsp_lib.methods.").split(".")
            yield file.parents[min(max(level, 1), len(file.parents)) - 1], parts
            if not level and parts[0] != "nbsp_lib":  # of the library, DECIDES says what counts
                yield from ((folder.parent, parts) for folder in file.parents if folder.name == parts[0])


def imported(path):
    """The files that a method's file imports from its own folder or package, directly or through others, itself first."""
    found, todo = {}, [path.resolve()]
    while todo:
        file = todo.pop(0)
        if file in found:
            continue
        found[file] = None
        for folder, parts in imports(file):  # a.b may be module b of package a, or something in module a
            places = [folder.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
            todo += [
                each for place in places for each in (place.with_suffix(".py"), place / "__init__.py") if each.is_file()
            ]
    return list(found)


def digest(files):
    """First 16 hex digits of a sha256 of all that `files` define, whatever their order."""
    texts = sorted(text for file in files for text in definitions(file))
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def files_of(method):
    """The files that a method is made of: of its class, and what they import from their folder. "sac" is core itself."""
    return [] if method == "sac" else imported(Path(sys.modules[find(method).__module__].__file__))


@functools.cache  # one answer per process: what trains is what was imported
def code_hash(method):
    """Hash of all that decides the numbers of a run of `method`."""
    return digest(
        [*(path for folder in DECIDES for path in sorted((LIBRARY / folder).rglob("*.py"))), *files_of(method)]
    )


@functools.cache
def method_hash(method):
    """Hash of the files of a method from outside the library, or None: a run of it is finished only under the same one."""
    return None if method in METHODS else digest(files_of(method))


def fingerprint(config):
    """Folder name of a run's state: readable, and different for whatever trains differently. config: Run.config."""
    name = re.sub("[^A-Za-z0-9-]+", "-", config["method"]).strip("-")[
        -80:
    ]  # an import path has slashes and dots, any length
    return f"{config['sequence']}-{name}-{config_hash(config)[:8]}-{code_hash(config['method'])[:8]}"


@functools.cache
def known_versions():
    """{hash of code: label of the numbers that it gives}, of data/code_versions.csv."""
    if not VERSIONS.exists():
        return {}
    with open(VERSIONS, encoding="utf-8", newline="") as file:
        return {row["code"]: row["numbers"] for row in csv.DictReader(file)}


def numbers_of(code):
    """The label of the numbers that code gives: one for all hashes that were shown to give the same, otherwise the hash."""
    return known_versions().get(code, code)


def main():
    """Notes the hashes of the code at hand in data/code_versions.csv, under a label of its numbers and how it was shown."""
    label, how = sys.argv[1:]
    with open(VERSIONS, "a", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerows(
            [code_hash(name), name, label, how] for name in METHODS if code_hash(name) not in known_versions()
        )


if __name__ == "__main__":
    main()
