"""What the documents say can be typed and found: every command parses, every name and file in them exists."""

import ast
import importlib
import inspect
import io
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import jupytext
import matplotlib.image
import numpy as np
import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

from nbsp_lib import cli
from nbsp_lib.artifact.parameters import checked, declared
from nbsp_lib.campaign import plan, speed
from nbsp_lib.campaign.speed import Rates
from nbsp_lib.core.method import Method
from nbsp_lib.methods import find
from nbsp_lib.runs.strict import read_yaml
from nbsp_lib.teaching import diagram

ROOT = Path(__file__).parents[2]
DOCS = [
    *(ROOT / name for name in ("README.md", "REPRODUCE.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "data/README.md",
]
MAKEFILE = (ROOT / "Makefile").read_text()
SOURCES = "\n".join(
    path.read_text() for folder in ("nbsp_lib", "notebooks") for path in sorted((ROOT / folder).rglob("*.py"))
)
PLACEHOLDER = re.compile(r"^[A-Z]{3,}$|<\w+>|…|\{\w")  # STAGE, <profile>, …, {k}
FREE = {"git", "cd", "conda", "source", "xargs", "grep", "export", "open", "jupyter", "cp"}  # not ours
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
every_document = pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))


def commands(path):
    """The commands of a document, as lists of words: of code blocks, and of `spans` that begin with a program of ours."""
    text, found = path.read_text(encoding="utf-8"), []
    for language, body in FENCE.findall(text):
        lines = body.replace("\\\n", " ").splitlines()
        if language in ("", "sh", "bash", "console") and not python_block(body):
            found += [line.removeprefix("$ ") for line in lines]
    found += re.findall(r"`((?:nbsp|make|dvc|papermill|python -m|pip) [^`]+)`", FENCE.sub("", text))
    for line in found:
        lexer, words = shlex.shlex(line, posix=True, punctuation_chars="|&;"), []  # knows # and quotes
        lexer.whitespace_split = True
        for word in [*lexer, ";"]:
            if re.fullmatch("[|&;]+", word):
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def python_block(body):
    return body.lstrip().startswith(("from ", "import ", "class ", "def ", "@"))


COMMANDS = [
    pytest.param(path, words, id=f"{path.name}: {' '.join(words)}"[:90])
    for path in DOCS
    for words in {tuple(words): words for words in commands(path)}.values()
]


@pytest.fixture(scope="module")
def pipeline():
    """(names of the root's stages, files that some stage of some profile writes), as DVC resolves dvc.yaml."""
    from dvc.repo import Repo

    assert (ROOT / "dvc.yaml").exists(), "dvc.yaml is missing"
    with Repo(str(ROOT)) as repo:
        stages = list(repo.index.stages)
        names = {stage.name for stage in stages if Path(stage.path).parent == ROOT}
        return names, {str(Path(out.fs_path).relative_to(ROOT)) for stage in stages for out in stage.outs}


@pytest.mark.parametrize(("path", "words"), COMMANDS)
def test_command(path, words, pipeline, monkeypatch):
    monkeypatch.chdir(ROOT)
    while re.fullmatch(r"\w+=\S*", words[0]):  # of the environment
        words = words[1:]
    program = words[0]
    if program == "nbsp":
        check_nbsp(words[1:], monkeypatch)
    elif program == "make":
        check_make(words[1:])
    elif program == "dvc":
        check_dvc(words[1:], pipeline[0])
    elif program == "papermill":
        check_notebook(Path(words[1]), words[3:])
        assert words[1].endswith(".ipynb") and Path(words[1]).exists()
    elif words[:2] == ["python", "-m"]:
        check_module(words[2], words[3:])
    elif program == "pip":
        check_pip(words[1:])
    else:
        assert program in FREE, f"{path.name}: say here how {program} is checked"


def check_nbsp(words, monkeypatch):
    """Parsed, names resolved; what would train is planned, with the measuring left out."""
    if not words or any(map(PLACEHOLDER.search, words)):
        return
    args = cli.parser().parse_args(words)
    monkeypatch.setattr(plan, "measure", lambda *given: Rates(1e-3, 1e-4, 1e-4, 1.0, 1, 1, 1))
    monkeypatch.delattr(speed, "timed")  # nothing is timed: with it these commands took a third of the whole suite
    if args.command == "check-method":
        assert find(args.path)
    elif args.command != "doctor":
        _, runs, seeds = cli.chosen(args)
        assert runs and seeds
        if args.command in ("run", "plan"):
            assert "total" in plan.estimate(runs, seeds, args.population)


def check_make(words):
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.M))
    for word in words:
        name, _, value = word.partition("=")
        if not _:
            assert name in targets, f"make {name}: there are {sorted(targets)}"
        elif not PLACEHOLDER.search(value):
            assert re.search(rf"^{name} \?=", MAKEFILE, re.M), f"the Makefile has no variable {name}"
            assert name != "PROFILE" or (ROOT / "profiles" / value).is_dir()


def check_dvc(words, stages):
    """DVC's own parser, and targets that exist."""
    from dvc.cli import DvcParserError
    from dvc.cli.parser import get_main_parser

    try:
        args = get_main_parser().parse_args(words)
    except (DvcParserError, SystemExit):
        pytest.fail(f"dvc does not know: {' '.join(words)}")
    for target in filter(None, [*(getattr(args, "targets", None) or []), getattr(args, "target", None)]):
        if not PLACEHOLDER.search(target):
            known = {*stages, *(name.split("@")[0] for name in stages)}
            assert target in known or (ROOT / target).is_file(), f"no stage or file {target}: {sorted(stages)}"


def check_notebook(source, words):
    """The source exists and knows the parameters `-p name value`, with values of the right type."""
    source = (ROOT / source).with_suffix(".py")
    assert source.is_file(), source
    assert len(words) % 3 == 0 and set(words[::3]) <= {"-p"}, words
    checked(zip(words[1::3], words[2::3]), declared(jupytext.read(source), source), source)


def check_module(name, words):
    """nbsp_lib.artifact.notebook with its parameters; any other module must be there, and its help must say what it takes."""
    if name == "nbsp_lib.artifact.notebook" and not any(map(PLACEHOLDER.search, words)):
        check_notebook(Path(words[0]), words[2:])
    else:
        assert importlib.util.find_spec(name), name


def check_pip(words):
    for flag, word in zip(words, words[1:]):
        assert flag not in ("-c", "-r") or (ROOT / word).is_file(), word
        if flag == "-e":
            optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            assert Requirement(f"nbsp-lib{word.lstrip('.')}").extras <= set(optional), word


def test_dvc_draws_the_pipeline():
    command = [sys.executable, "-m", "dvc", "dag", "--collapse-foreach-matrix", "--md", "dvc.yaml"]
    drawn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert drawn.returncode == 0 and "mermaid" in drawn.stdout, drawn.stderr


@every_document
def test_code_blocks_are_python_or_yaml_where_they_say_so(path):
    """Python parses and its imports from the library resolve; YAML loads."""
    for language, body in FENCE.findall(path.read_text(encoding="utf-8")):
        if language == "python" or (not language and python_block(body)):
            for node in ast.walk(ast.parse(body)):
                if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "nbsp_lib":
                    module = importlib.import_module(node.module)
                    names = [alias.name for alias in node.names]
                    assert not [
                        name
                        for name in names
                        if not hasattr(module, name) and not importlib.util.find_spec(f"{node.module}.{name}")
                    ], f"{node.module} has not all of {names}"
        elif language in ("yaml", "yml"):
            assert YAML(typ="safe", pure=True).load(body) is not None


def named(text):
    """What looks like a file in the prose: `spans` with a / or a suffix; and the targets of links."""
    suffix = r"\.(py|md|yaml|yml|toml|lock|csv|gz|json|html|ipynb|safetensors|cff|png|svg|pdf)$"
    spans = [span for span in re.findall(r"`([^`\s]+)`", FENCE.sub("", text)) if re.search(rf"\w/|/$|{suffix}", span)]
    return [span.rstrip("/") for span in spans if not PLACEHOLDER.search(span)], [
        target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target
    ]


def is_made(span, outs):
    """Whether the pipeline writes this file or folder, or a source mentions its name, or git ignores it on purpose."""
    written = any(out == span or out.startswith(f"{span}/") or span.startswith(f"{out}/") for out in outs)
    return (
        written or ("/" not in span and span in SOURCES) or f"{span}/" in (ROOT / ".gitignore").read_text().splitlines()
    )


@every_document
def test_named_files_exist(path, pipeline):
    spans, links = named(path.read_text(encoding="utf-8"))
    missing = [target for target in links if not (path.parent / target).exists()]
    places = (ROOT, path.parent, ROOT / "nbsp_lib", ROOT / "nbsp_lib/methods", ROOT / "notebooks", ROOT / "data")
    missing += [
        span for span in spans if not is_made(span, pipeline[1]) and not any(list(place.glob(span)) for place in places)
    ]
    assert not missing, f"{path.name} names what is not there: {missing}"


@every_document
def test_a_cell_of_a_table_is_read_at_one_glance(path):
    """At most 160 characters; a link counts as what is shown of it."""
    text = re.sub(r"\]\([^)]*\)", "]", FENCE.sub("", path.read_text(encoding="utf-8")))
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert not [cell for row in rows for cell in row if len(cell.strip()) > 160]


@every_document
def test_named_functions_and_settings_exist(path):
    """`module.name` is in the library, or a key of params.yaml."""
    settings = read_yaml(ROOT / "params.yaml")
    settings |= settings["sizes"]["laptop"] | {"analysis": settings["analysis"]}
    library = {file.stem: file for file in (ROOT / "nbsp_lib").rglob("*.py")}
    for module, name in re.findall(r"`(\w+)\.(\w+)[^`/]*`", path.read_text(encoding="utf-8")):
        if name in ("py", "csv", "md", "json", "yaml", "png", "x"):  # a file, or any name
            continue
        if module in library:
            path_of = library[module].relative_to(ROOT).with_suffix("").parts
            known = hasattr(importlib.import_module(".".join(path_of)), name)
            assert known or name in settings.get(module, {}), f"{path.name}: {module}.{name}"
        elif isinstance(settings.get(module), dict):
            assert name in settings[module], f"{path.name}: {module}.{name}"


@every_document
def test_nothing_is_left_to_fill_in(path):
    assert "TODO" not in path.read_text(encoding="utf-8")


def test_the_map_names_every_file_of_the_library_once():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \|", text.split("<!-- files:")[1].split("<!-- end of files -->")[0], re.M)
    found = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(found) == sorted(
        str(path.relative_to(ROOT / "nbsp_lib")) for path in (ROOT / "nbsp_lib").rglob("*.py")
    )


def test_the_figure_of_an_update_has_every_hook_and_is_drawn_by_its_script():
    """Each public function of Method stands under a box; the picture in docs/images is what the script draws."""
    hooks = {name for name, value in vars(Method).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert {hook for _, _, boxes in diagram.LANES for _, named in boxes for hook in named} == hooks
    drawn = io.BytesIO()
    diagram.update().savefig(drawn, format="png")
    drawn.seek(0)
    there, here = matplotlib.image.imread(ROOT / diagram.PICTURE), matplotlib.image.imread(drawn)
    assert there.shape == here.shape and np.abs(there - here).mean() < 0.01  # fonts may differ by a pixel
