"""Regenerated against expected tables: same bytes at home, a tolerance elsewhere, rerolled tables only reported there."""

import json
import platform

import pandas as pd
import pytest

from nbsp_lib.artifact import compare

TABLE = pd.DataFrame({"arm": ["nbsp", "ewc"], "value": [0.5, None]})


@pytest.mark.parametrize(
    ("change", "gap"),
    [
        (lambda t: t, 0.0),
        (lambda t: t.assign(value=[0.5625, None]), 0.0625),
        (lambda t: t.assign(value=[0.5, 0.5]), float("inf")),
        (lambda t: t.assign(arm=["nbsp", "er"]), float("inf")),
        (lambda t: t.iloc[:1], float("inf")),
        (lambda t: t.rename(columns={"value": "score"}), float("inf")),
    ],
)
def test_difference_of_two_tables(change, gap):
    assert compare.difference(change(TABLE), TABLE)[0] == gap


@pytest.fixture
def folders(tmp_path):
    """Results with a recorded and a rerolled table, and the same as expected."""
    for name in ("main_table/window/main_table.csv", "evaluate/window.csv"):
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True)
        pd.DataFrame({"arm": ["nbsp", "ewc"], "value": [0.5, float("nan")]}).to_csv(path, index=False)
    compare.accept(tmp_path / "results", tmp_path / "expected")
    return tmp_path / "results", tmp_path / "expected"


def move_away(expected):
    (expected / compare.MACHINE).write_text(json.dumps(compare.machine() | {"cpu": "another"}))


def change(results, name, by):
    frame = pd.read_csv(results / name)
    frame.loc[0, "value"] += by
    frame.to_csv(results / name, index=False)


def test_what_was_accepted_is_the_same(folders):
    lines, met = compare.compare(*folders, 1e-4)
    assert met and [line.split()[0] for line in lines] == ["same", "same", "on"]


@pytest.mark.parametrize(
    ("name", "by", "home", "elsewhere"),
    [
        ("main_table/window/main_table.csv", 1e-6, False, True),
        ("main_table/window/main_table.csv", 1e-2, False, False),
        ("evaluate/window.csv", 0.3, False, True),
    ],
)
def test_home_is_strict_and_elsewhere_has_a_tolerance(folders, name, by, home, elsewhere):
    change(folders[0], name, by)
    assert compare.compare(*folders, 1e-4)[1] is home
    move_away(folders[1])
    lines, met = compare.compare(*folders, 1e-4)
    assert met is elsewhere and any(name in line and f"{by:.2g}" in line for line in lines)


def test_missing_tables_texts_and_columns_differ_everywhere(folders):
    results, expected = folders
    move_away(expected)
    path = results / "main_table/window/main_table.csv"
    frame = pd.read_csv(path)
    for wrong in (frame.assign(arm="x"), frame.rename(columns={"value": "v"}), frame.head(1), frame.fillna(1.0)):
        wrong.to_csv(path, index=False)
        assert not compare.compare(results, expected, 1e-4)[1]
    path.unlink()
    lines, met = compare.compare(results, expected, 1e-4)
    assert not met and any(line.startswith("MISSING") for line in lines)


def test_nothing_to_compare_with_is_an_error(tmp_path, capsys):
    assert compare.main([str(tmp_path), str(tmp_path)]) == 2 and "no tables" in capsys.readouterr().err


def test_processors_of_one_name_are_told_apart(tmp_path):
    """Virtual machines call many processors 'AMD EPYC', and these do not add numbers up in the same order."""
    known = {}
    for family, flags in (("23", "fpu avx2"), ("25", "fpu avx2 avx512f avx512bw")):
        core = f"processor\t: 0\ncpu family\t: {family}\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nflags\t\t: {flags}\n\n"
        (tmp_path / family).write_text(core * 2)
        known[family] = compare.machine(tmp_path / family)
    assert known["23"]["cpu"] == "AMD EPYC, family 23, model 1" and known["23"]["vectors"] == ["avx2"]
    assert known["25"]["cpu"] == "AMD EPYC, family 25, model 1" and known["25"]["vectors"] == ["avx2", "avx512f"]
    assert known["25"]["python"] == platform.python_version()


def test_a_system_without_cpuinfo_has_a_description(tmp_path):
    assert compare.machine(tmp_path / "none") == compare.machine() | {"cpu": platform.processor(), "vectors": []}
