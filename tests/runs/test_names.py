"""One rule for names and numbers: what a command line, YAML, a csv file or a path would take for something else is refused."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest
from pandas._libs.parsers import STR_NA_VALUES
from ruamel.yaml import YAML

from nbsp_lib import cli
from nbsp_lib.campaign.job import Job
from nbsp_lib.envs.sequences import SEQUENCES
from nbsp_lib.methods import METHODS
from nbsp_lib.runs.arms import arm_of
from nbsp_lib.runs.files import read_csv
from nbsp_lib.runs.ranges import is_name
from nbsp_lib.runs.run import Run
from nbsp_lib.runs.settings import ConfigError, check_seeds, load_profile
from nbsp_lib.runs.strict import read_yaml

ROOT = Path(__file__).parents[2]
WORDS = [
    "0.5",
    "null",
    "Null",
    "1e3",
    "true",
    "nan",
    "NA",
    "-x",
    "--",
    "",
    " ",
    "a b",
    "a.b",
    "a/b",
    "..",
    "~",
    "yes",
    "on",
    "y",
    "inf",
    "infinity",
    "0x10",
    "1_0",
    "12:30",
    "2020-01-01",
    ".part",
    "nbsp,",
    "é",
    "n²",
    "NBSP",
    "Nbsp",
    "a" * 61,
    "nbsp\n",
]
TAKEN = ["nbsp", "share-05", "e3", "nullify", "not-a", "a" * 60]


def as_read(text):
    """What YAML 1.1 and 1.2, float() and pandas make of a text, where it is not the text."""
    for version in ("1.1", "1.2"):
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        yield yaml.load(text)
    yield pd.read_csv(io.StringIO(f"name\n{text}\n")).name.tolist()[0]


@pytest.mark.parametrize("name", WORDS)
def test_such_a_name_is_no_arm_and_no_profile(name, tmp_path):
    with pytest.raises(
        ConfigError, match="begin with a letter and be no word that YAML or a csv file reads as a value"
    ):
        arm_of(name, {"method": "sac"}, "arms")
    document = read_yaml(ROOT / "profiles/smoke/params.yaml") | {"profile": name, "root": str(ROOT)}
    with open(tmp_path / "params.yaml", "w") as file:
        YAML(typ="safe", pure=True).dump(document, file)
    with pytest.raises(ConfigError, match=r"params\.yaml: profile: "):
        load_profile(tmp_path / "params.yaml")


def test_what_is_a_name_is_read_as_that_text_everywhere():
    """By the readers themselves: all that pandas takes for missing, and words that any of YAML's versions takes for a value."""
    words = (
        {word.lower() for word in STR_NA_VALUES} | set(WORDS) | {"none", "n", "off", "false", "nul", "t", "f", "null-"}
    )
    for word in filter(is_name, words | set(TAKEN)):
        assert list(as_read(word)) == [word] * 3, word
    assert all(map(is_name, TAKEN))


def test_names_of_ours_keep_the_rule():
    assert all(map(is_name, [*SEQUENCES, *METHODS]))
    assert all(is_name(task) for tasks in SEQUENCES.values() for task in tasks)


def test_the_longest_name_still_fits_into_file_names():
    """Of a job's log and failed notebook, of a stage's and of a state folder, with seeds of ten digits and a deep method file."""
    arm, seeds = "a" * 60, tuple(range(2**32 - 9, 2**32))
    profile = load_profile(ROOT / "profiles/smoke/params.yaml")
    profile.arms[arm] = arm_of(arm, {"method": "sac"}, "arms")
    for sequence in SEQUENCES:
        job = Job(Run(profile, sequence, arm), seeds)
        for name in (
            f"{'p' * 60}-{job.name}.failed.ipynb.part",
            f"train-{sequence}-{arm}.failed.ipynb",
            f"{arm}-01234567.lock",
        ):
            assert len(name.encode()) <= 255
    assert len(job.run.fingerprint) < 200


@pytest.mark.parametrize("seeds", [[-1], [0.0], [0.5], [True], ["0"], [None], [2**32], [1, 1], [], 3, "0"])
def test_what_is_no_seed_is_refused_in_a_file(seeds):
    with pytest.raises(ConfigError, match=r"^seeds"):
        check_seeds(seeds)


@pytest.mark.parametrize("text", ["1_0", "0.0", "1e3", "true", "null", "٣", "0x1", "+1", "", " 1"])
def test_what_is_no_seed_is_refused_on_the_command_line(text, capsys):
    """Python's int() would take some of them: 1_0 for ten, ٣ for three."""
    assert cli.main(["status", "--profile", "smoke", "--seeds", text]) == 2
    said = capsys.readouterr().err
    assert "argument --seeds: invalid int value" in said and said.count("\n") == 1


def test_a_csv_file_keeps_names_that_pandas_takes_for_missing(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("arm,value\nnull,1.5\nNA,\nnan,2.0\n")
    table = read_csv(path)
    assert table.arm.tolist() == ["null", "NA", "nan"] and table.value.isna().tolist() == [False, True, False]
    assert table.value.dtype == float


def test_no_table_of_ours_is_read_otherwise():
    """data/paper_numbers.csv, which people write, has a reader of its own."""
    sources = [path for folder in ("nbsp_lib", "notebooks") for path in (ROOT / folder).rglob("*.py")]
    calls = [
        line.strip() for path in sources for line in path.read_text().splitlines() if re.search(r"pd\.read_csv\(", line)
    ]
    assert [line for line in calls if "keep_default_na=False" not in line and "(paper" not in line] == []
