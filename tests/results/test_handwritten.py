"""Files that people write: what a spreadsheet adds is taken, what would be read as something else is refused."""

from pathlib import Path

import pandas as pd
import pytest
from test_result_notebooks import run

from nbsp_lib.artifact.doctor_written import written
from nbsp_lib.envs.atari import reference_scores
from nbsp_lib.errors import ConfigError
from nbsp_lib.results.handwritten import number, read_table, unique
from nbsp_lib.results.ledger import PAPER, beside, escaped, read_paper
from nbsp_lib.results.output import markdown

HEADER = ",".join(PAPER)
ROW = "1,window,nbsp,ASR,0.85,p. 7"
GOOD = f'{HEADER}\n{ROW}\n2,drawer,ewc,FM,-0.1,"p. 8, left"\n'


def paper(tmp_path, text):
    path = tmp_path / "paper.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_paper(path)


@pytest.mark.parametrize(
    "data",
    [
        GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode("utf-8-sig"),
        GOOD.replace("\n", "\r").encode(),
        GOOD.rstrip("\n").encode(),
        ("\n" + GOOD).replace("\n", "\n\n").encode(),
        f"{GOOD},,,,,\n,,,,,\n".encode(),
        GOOD.replace(HEADER, f"{HEADER},,").replace("p. 7\n", "p. 7,,\n").encode(),
        f"{GOOD} , ,,,,\n".encode(),
    ],
)
def test_what_a_spreadsheet_writes_is_taken(tmp_path, data):
    read = paper(tmp_path, data)
    assert read.values.tolist() == [
        ["1", "window", "nbsp", "ASR", 0.85, "p. 7"],
        ["2", "drawer", "ewc", "FM", -0.1, "p. 8, left"],
    ]
    assert read.value.dtype == float


def test_a_header_alone_is_an_empty_table(tmp_path):
    read = paper(tmp_path, HEADER)
    assert read.empty and list(read.columns) == list(PAPER)
    assert read_paper("data/paper_numbers.csv").empty


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEADER}\n1,window,nbsp,ASR,0,85,p. 7", "line 2: 7 fields, expected 6"),
        (f"{HEADER}\n1,window,nbsp,ASR,0.85,p. 7, left", "line 2: 7 fields, expected 6"),
        (f"{HEADER}\n{ROW}\n1,window,nbsp,FM,0.1", "line 3: 5 fields, expected 6"),
        (f"{HEADER}\n1,window,nbsp,ASR,85,p. 7", "line 2: value: 85 must lie in 0..1, a rate, not percent"),
        (f"{HEADER}\n1,window,nbsp,ASR,-0.85,p. 7", "line 2: value: -0.85 must lie in 0..1"),
        (f"{HEADER}\n1,window,nbsp,FM,-1.2,p. 7", "line 2: value: -1.2 must lie in -1..1"),
        (f"{HEADER}\n1,cartpole,nbsp,plasticity,1.01,p. 7", "must lie in 0..1"),
        *(
            (f'{HEADER}\n1,window,nbsp,ASR,"{value}",p. 7', f"line 2: value: {value!r} is no number")
            for value in ("85%", "0,85", "0.85±0.03", "−0.85", "nan", "inf", "1_0", "٠.٥", "0x1", "n/a")
        ),
        (f"{HEADER}\n1,boxing-road-runner,nbsp,ASR,1e999,p. 7", "line 2: value: '1e999' is no number"),
        (f"{HEADER}\n# p. 7\n{ROW}", "line 2: 1 fields, expected 6"),
        (f"sep=,\n{HEADER}\n{ROW}", 'line 1: unknown column "sep="'),
        (f"{HEADER}\n1,window,nbsp,ASR,=0.85,p. 7", "line 2: value: '=0.85' is no number"),
        (f"{HEADER}\n1,window,nbsp,ASR,,p. 7", "line 2: value is empty"),
        (f"{HEADER}\n1,window,nbsp,ASR,0.85,", "line 2: source is empty"),
        (f"{HEADER}\n1,window,NBSP,ASR,0.85,p. 7", 'line 2: unknown arm "NBSP", nearest valid name: "nbsp"'),
        (f"{HEADER}\n1,window,nbsp,asr,0.85,p. 7", 'line 2: unknown metric "asr", nearest valid name: "ASR"'),
        (
            f"{HEADER}\n1,windw,nbsp,ASR,0.85,p. 7",
            'line 2: unknown sequence or task "windw", nearest valid name: "window"',
        ),
        (f"{HEADER}\n1,window,nbsp ,ASR,0.85,p. 7", "line 2: arm: 'nbsp ' has blanks at its ends"),
        (f"{HEADER}\n1,window,nbsp,ASR, 0.85,p. 7", "line 2: value: ' 0.85' has blanks"),
        (f"{HEADER}\n\n{ROW}\n,,,,,\n{ROW}", "line 5: says again what line 3 says of 1 window nbsp ASR"),
        (f"{HEADER}\n{ROW}\n{ROW.replace('85', '86')}", "line 3: contradicts or repeats what line 2 says"),
        (f'{HEADER}\n{ROW[:-4]}"p. 7\nleft"\n', "line 2: source: 'p. 7\\nleft' holds a line break"),
        (f'{HEADER}\n{ROW[:-4]}"p. 7\n', "line 2: unexpected end of data"),
        (f"{HEADER}\n{ROW}".replace(",", ";"), "line 1: fields are separated by semicolons"),
        (f"{HEADER}\n{ROW}".replace(",", "\t"), "line 1: fields are separated by tabs"),
        (f"{HEADER}\n{ROW}".replace(",arm", ", arm"), 'line 1: unknown column " arm", nearest valid name: "arm"'),
        (f"{HEADER}\n{ROW}".replace("arm", "method"), 'line 1: unknown column "method"'),
        ("table,sequence,arm,metric,value\n1,window,nbsp,ASR,0.85", "line 1: column source is missing"),
        ("sequence,table,arm,metric,value,source\n", "line 1: expected the header table,sequence,"),
        (ROW, 'line 1: unknown column "1"'),
        ("", "line 1: the file is empty"),
        ("\n\n", "the file is empty"),
        (f"{HEADER}\n1,window,nbsp,ASR,0.85,Müller".encode("latin-1"), "line 2: not UTF-8"),
        (GOOD.encode("utf-16"), "line 1: not UTF-8 but UTF-16"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_line(tmp_path, text, words):
    with pytest.raises(ConfigError) as raised:
        paper(tmp_path, text)
    assert words in str(raised.value) and "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path / 'paper.csv'}: line ")


def test_a_normalised_return_has_no_upper_bound(tmp_path):
    assert paper(tmp_path, f"{HEADER}\n1,boxing-road-runner,nbsp,ASR,2.5,p. 7").value.tolist() == [2.5]


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_paper(tmp_path / "nowhere.csv")


def test_seeds_stay_whole_numbers_and_a_bar_stays_in_its_cell(tmp_path):
    read = paper(tmp_path, f"{HEADER}\n1,window,nbsp,ASR,0.85,p. 7 | <left>\n1,window,ewc,ASR,0.5,p. 7")
    ours = pd.DataFrame([["window", "nbsp", "ASR", 0.5, 3]], columns=["sequence", "arm", "metric", "ours", "seeds"])
    lines = markdown(escaped(beside(read, ours))).splitlines()
    assert lines[2] == r"| 1 | window | nbsp | ASR | 0.85 | p. 7 \| \<left> | 0.50 | 3 |"
    assert lines[3] == "| 1 | window | ewc | ASR | 0.50 | p. 7 | – | – |"


def test_the_page_of_claims_refuses_before_it_reads_runs(tmp_path):
    (tmp_path / "paper.csv").write_text(f"{HEADER}\n1,window,nbsp,ASR,0,85,p. 7\n")
    with pytest.raises(Exception, match="line 2: 7 fields, expected 6"):
        run("results/claims", params_file="params.yaml", paper=str(tmp_path / "paper.csv"), out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_scores_of_atari_are_read_the_same_strictly():
    """The other table that was typed: the plain reader of the training finds what the strict one does."""
    rows = read_table(Path("data/atari_scores.csv"), ("game", "random", "human", "source"))
    unique(rows, ("game",), "data/atari_scores.csv")
    big = float("inf")
    strict = {row["game"]: tuple(number(row[name], -big, big, "") for name in ("random", "human")) for _, row in rows}
    assert strict == {game: tuple(map(float, scores)) for game, scores in reference_scores().items()}


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("data/atari_scores.csv", lambda text: text.replace("227.8", "227,8", 1), "line 2: 5 fields, expected 4"),
        ("data/atari_scores.csv", lambda text: text.replace("227.8", "n/a", 1), "line 2: random: 'n/a' is no number"),
        ("data/paper_numbers.csv", lambda text: f"{text}1,window,nbsp,ASR,85,p. 7\n", "85 must lie in 0..1"),
        ("profiles/smoke/params.yaml", lambda text: text.replace("[0, 1]", "[0, 0]"), "seeds: [0, 0] must be distinct"),
    ],
)
def test_doctor_tells_it_beforehand(tmp_path, name, change, words):
    for each in ("params.yaml", "profiles/smoke/params.yaml", "data/atari_scores.csv", "data/paper_numbers.csv"):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        text = Path(each).read_text()
        (tmp_path / each).write_text(change(text) if each == name else text)
    told = [text for grade, text in written(tmp_path) if grade == "FAIL"]
    assert told and all(words in text and "\n" not in text for text in told)
    (tmp_path / name).write_text(Path(name).read_text())
    assert [grade for grade, _ in written(tmp_path)] == ["ok"]
