"""Pages of the site about the library: a page for each module with its docstrings and its source, a list for each folder.

Modules are parsed, not imported, so that a page depends on nothing but its file.
"""

from __future__ import annotations

import ast
import inspect
import re

COMMANDS = ("campaign", "cli", "usage")  # not for import: without their pages an edit there redoes no page of the site
SPECIAL = re.compile(r"([\\*_<>\[\]#|$~{}^])")


def escaped(docstring) -> str:
    """A docstring as Markdown: paragraphs as they are, lines that are indented or lists as they stand; code between backticks."""
    blocks = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring or "")):
        if re.search(r"^(\s|[-*] |\d+\. )", block, re.M):
            blocks.append(f"```text\n{block}\n```")
        else:
            parts = re.split(r"(`[^`]*`)", block)
            blocks.append("".join(part if part[:1] == "`" else SPECIAL.sub(r"\\\1", part) for part in parts))
    return "\n\n".join(blocks)


def first_sentence(docstring) -> str:
    """The first sentence of a docstring in one line, up to a colon if a command follows."""
    text = " ".join((docstring or "").split("\n\n")[0].split())
    found = re.match(r".+?[.?!](?=\s|$)", text)
    return escaped(found[0] if found else text)


def public(nodes):
    """The functions and classes among syntax nodes that are not private, in their order."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node for node in nodes if isinstance(node, kinds) and not node.name.startswith("_")]


def described(node, module, owner="") -> str:
    """A function, class or method as a directive of Sphinx's Python domain, with what it says about itself."""
    name = f"{owner}.{node.name}" if owner else node.name
    if isinstance(node, ast.ClassDef):
        kind, signature = "class", f"({', '.join(ast.unparse(base) for base in node.bases)})" if node.bases else ""
        inside = "\n\n".join(described(part, module, name) for part in public(node.body) if ast.get_docstring(part))
    else:
        kind, signature, inside = "method" if owner else "function", f"({ast.unparse(node.args)})", ""
    fence = "`" * (4 if owner or kind == "function" else 5)
    body = "\n\n".join(part for part in (escaped(ast.get_docstring(node)), inside) if part)
    return f"{fence}{{py:{kind}}} {name}{signature}\n:module: {module}\n\n{body}\n{fence}"


def module_page(path, module, place, above) -> tuple[str, str]:
    """The page of a module as Markdown, and its first sentence; place = where Sphinx finds the source, above = (name, page) of
    its folder. The page stands in no sidebar: there are so many modules that they would double the time and size of the site."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    doc = ast.get_docstring(tree)
    place_of = f"`{module}` in [{above[0]}]({above[1]})"
    parts = ["---\norphan: true\n---", f"# {module.removeprefix('nbsp_lib.')}", place_of, escaped(doc)]
    if found := public(tree.body):
        parts += ["## What it offers", *(described(node, module) for node in found)]
    parts += ["## Source", f"```{{literalinclude}} {place}\n:language: python\n:linenos:\n```"]
    return "\n\n".join(part for part in parts if part) + "\n", first_sentence(doc)


def modules(package) -> dict:
    """{folder in the package, "" for the package itself: [(module, path)]} of a package's files with a line in them, without
    those of COMMANDS."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package.parent).with_suffix("")
        parts = inside.parts[:-1] if path.stem == "__init__" else inside.parts
        if inside.parts[1] not in COMMANDS and path.read_text(encoding="utf-8").strip():
            found.setdefault("/".join(inside.parts[1:-1]), []).append((".".join(parts), path))
    return dict(sorted(found.items()))


def library_pages(root, sources):
    """Writes the page of every module of nbsp_lib -> (folder, page of its list, [(module, page, first sentence)]) of each."""
    for folder, members in modules(root / "nbsp_lib").items():
        name, listed, entries = folder or "nbsp_lib", f"api/folder-{folder.replace('/', '-') or 'nbsp_lib'}", []
        for module, path in members:
            source = path.relative_to(root).as_posix()
            page, copy = sources.pages[source], sources.copy(source, f"files/{source}")
            text, sentence = module_page(path, module, f"/{copy}", (name, f"/{listed}"))
            sources.write(page, text)
            entries.append((module.removeprefix("nbsp_lib."), page.removesuffix(".md"), sentence))
        yield name, f"{listed}.md", entries
