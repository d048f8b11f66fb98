"""What the first page of the site shows, read from films and tables: nothing on it is typed."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import numpy as np

from nbsp_lib.results.questions import PARTS
from nbsp_lib.results.verdicts import RANKS
from nbsp_lib.runs.files import read_csv

FILMED = ("learned", "forgotten", "nbsp")  # order of the films, by the last word of their names


def films(root, sources):
    """Path, caption and alternative text of each film of docs/films; copies the pictures into the sources of the site."""
    found = []
    for path in sorted((root / "docs/films").glob("*.json"), key=lambda path: FILMED.index(path.stem.split("-")[-1])):
        caption, moving = json.loads(path.read_text(encoding="utf-8"))["caption"], path.with_suffix(".gif")
        picture = moving if moving.exists() else path.with_suffix(".png")
        copied = sources.copy(picture.relative_to(root))
        found.append({"path": copied, "caption": caption, "alt": f"A robot arm and a window, {caption}"})
    return found


def shown(results, root, sources):
    """Values of the template: films, what each arm of the figure kept and learned (None if unknown), claims, verdicts counted."""
    kept, claims = None, []
    if (table := results / "retention/retention.csv").exists():
        rows = read_csv(table)
        arms = rows[rows.arm.isin(np.unique(PARTS))].groupby("arm", sort=False)
        kept = arms[["old", "new"]].mean().assign(seeds=arms.size())
        figures = sources.folder / "results/figures"
        figures.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(results / "retention/retention.svg", figures / "retention.svg")
    if (table := results / "claims/claims.csv").exists():
        columns = ["claim", "text", "verdict", "seeds", "holding", "compared", "missing"]
        claims = read_csv(table)[columns].drop_duplicates().to_dict("records")
    counted = Counter(claim["verdict"].split(" (")[0] for claim in claims)
    verdicts = {verdict: counted[verdict] for verdict in reversed(RANKS) if counted[verdict]}
    return {"films": films(root, sources), "kept": kept, "claims": claims, "verdicts": verdicts}
