"""Which edits are another run: the hash of the code, and what a method's own files have to do with a finished run."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_run

from nbsp_lib.errors import ConfigError
from nbsp_lib.methods import METHODS
from nbsp_lib.runs import fingerprint
from nbsp_lib.runs.arms import arm_of
from nbsp_lib.runs.export import check_same_run
from nbsp_lib.runs.run import Run

OWN = '''"""Mine."""
import strength_of_mine
from nbsp_lib.core.method import Method


class Mine(Method):
    """Shorter steps."""

    def shape_step(self, net, steps, noise):
        return {k: step * strength_of_mine.OF[net.name] for k, step in steps.items()}
'''
HELPER = 'OF = {"actor": 0.5, "critic": 0.5}\n'


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A method's file beside a helper that it imports; what is read is what lies there now."""
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "strength_of_mine.py").write_text(HELPER)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "mine.py"


def digest(path):
    return fingerprint.digest(fingerprint.imported(path))


def test_the_hash_of_a_text_is_the_same_for_every_python(tmp_path):
    """Fixed digests: of the library's own way to write a syntax tree, not of ast.dump, which differs from 3.12 on."""
    file = tmp_path / "text.py"
    file.write_text(
        'def f(x, *, y=1):\n    return [x**2 for _ in range(y)] or f"{x:.2f}"\n\n\nclass A(int):\n    n: int = 0\n'
    )
    assert fingerprint.digest([file]) == "730c3f7ca68d3c01"


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        (lambda text: text.replace('"""Shorter steps."""', '"""Steps of half the length."""'), True),
        (lambda text: text.replace("        return", "        # why\n        return"), True),
        (
            lambda text: text.replace(
                "import strength_of_mine\nfrom nbsp_lib.core.method import Method\n",
                "from nbsp_lib.core.method import Method\nimport strength_of_mine\n",
            ),
            True,
        ),
        (lambda text: text.replace("step *", "step + 0 *"), False),
    ],
)
def test_comments_docstrings_and_the_order_of_imports_do_not_count(own, edit, same):
    before = digest(own)
    own.write_text(edit(OWN))
    assert (digest(own) == before) is same


def test_a_helper_that_a_method_imports_counts(own):
    before = digest(own)
    own.with_name("strength_of_mine.py").write_text(HELPER.replace("0.5", "0.25"))
    assert digest(own) != before


@pytest.mark.parametrize(
    "line",
    [
        "from package_of_mine.strength import OF",
        "import package_of_mine.strength as s; OF = s.OF",
        "from ..strength import OF",
        "from .. import strength; OF = strength.OF",
        "from ..strength import *",
    ],
)
@pytest.mark.parametrize("regular", [True, False], ids=["with __init__", "without"])
def test_a_helper_elsewhere_in_its_package_counts(tmp_path, monkeypatch, line, regular):
    from nbsp_lib.methods import find

    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("package_of_mine")]:
        monkeypatch.delitem(sys.modules, name)
    find.cache_clear()
    helper, file = tmp_path / "package_of_mine/strength.py", tmp_path / "package_of_mine/below/mine.py"
    file.parent.mkdir(parents=True)
    if regular:
        for folder in (file.parent, helper.parent):
            (folder / "__init__.py").write_text("")
    helper.write_text(HELPER)
    file.write_text(OWN.replace("import strength_of_mine\n", f"{line}\n").replace("strength_of_mine.OF", "OF"))
    assert {helper, file} <= set(fingerprint.files_of("package_of_mine.below.mine:Mine"))
    before = digest(file)
    helper.write_text(HELPER.replace("0.5", "0.25"))
    assert digest(file) != before


def test_a_definition_may_move_to_another_file(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("import math\n\n\ndef a():\n    return 1\n\n\ndef b():\n    return 2\n")
    before = fingerprint.digest([one])
    one.write_text("def b():\n    return 2\n")
    two.write_text("def a():\n    return 1\n")
    assert fingerprint.digest([two, one]) == before


def test_two_files_of_one_name_are_two_methods(own, tmp_path):
    from nbsp_lib.methods import find

    other = tmp_path / "other" / "mine.py"
    other.parent.mkdir()
    other.write_text(OWN.replace("steps.items()", "steps.items() if k"))
    assert find(f"{own}:Mine") is not find(f"{other}:Mine")
    assert fingerprint.method_hash.__wrapped__(f"{own}:Mine") != fingerprint.method_hash.__wrapped__(f"{other}:Mine")


def test_a_finished_run_of_a_method_that_was_edited_is_not_finished(own, tmp_path, monkeypatch):
    """And nothing is mixed: the older version's folder is named and left as it is."""
    monkeypatch.setattr(fingerprint, "method_hash", fingerprint.method_hash.__wrapped__)
    made = replace(
        tiny_run.profile(),
        arms={"mine": arm_of("mine", {"method": f"{own}:Mine"}, "arms.mine")},
        checkpoints=str(tmp_path / "checkpoints"),
    )
    run, out = Run(made, "window", "mine"), tmp_path / "checkpoints/window/mine"
    shutil.move(tiny_run.train(tmp_path / "run", arm="mine", made=made, positions=1), out)
    assert run.finished() == {0: 1}
    check_same_run(run, out)
    own.with_name("strength_of_mine.py").write_text(HELPER.replace("0.5", "0.25"))
    assert run.finished() == {}
    with pytest.raises(ConfigError, match=r"holds a run with another version of .*mine\.py; move it away first"):
        check_same_run(run, out)


def test_hashes_of_the_code_at_hand_are_known():
    """So that a table can say which seeds were trained by code of the same numbers; see data/code_versions.csv."""
    known = fingerprint.known_versions()
    assert not {name for name in METHODS if fingerprint.code_hash(name) not in known}
    assert Path(fingerprint.VERSIONS).exists()
