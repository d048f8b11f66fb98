"""A check of doctor: can the files that people write be read?"""

from __future__ import annotations

from pathlib import Path

from nbsp_lib.errors import ConfigError


def written(root):
    """Every profile, the paper's numbers and the scores of games are read as strictly as a run reads them: (grade, text)."""
    from nbsp_lib.results.handwritten import number, read_table, unique
    from nbsp_lib.results.ledger import read_paper
    from nbsp_lib.runs.settings import load_profile

    def scores(path):
        rows = read_table(path, ("game", "random", "human", "source"))
        unique(rows, ("game",), path)
        for line, row in rows:
            for name in ("random", "human"):
                number(row[name], float("-inf"), float("inf"), f"{path}: line {line}: {name}")

    profiles = [root / "params.yaml", *sorted((root / "profiles").glob("*/params.yaml"))]
    readers = dict.fromkeys(profiles, load_profile) | {
        root / "data/paper_numbers.csv": lambda path: read_paper(path, profiles),
        root / "data/atari_scores.csv": scores,
    }
    for path, read in readers.items():
        try:
            read(Path(path))
        except ConfigError as error:
            yield "FAIL", str(error)
    yield "ok", f"{len(readers)} files that people write were read"
