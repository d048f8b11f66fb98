"""The tuning of every method with the same small budget: profile `tuning` -> data/tuning.csv. python -m nbsp_lib.results.tuning

An arm of that profile is METHOD-SETTING-VALUE, the value without its point.
What was not run has a row too. The objective is ASR of the whole sequence.
"""
from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from nbsp_lib.results.output import write_csv
from nbsp_lib.results.study import read_study
from nbsp_lib.results.tables import per_seed
from nbsp_lib.runs.files import read_csv
from nbsp_lib.runs.settings import load_profile

PROFILE, TABLE = "profiles/tuning/params.yaml", "data/tuning.csv"
COLUMNS = ["method", "arm", "setting", "value", "default", "seed", "sequence", "status", "ASR", "FM", "plasticity"]


def decisive(profile, arm):
    """(setting, value, default) that an arm tries: what its name says."""
    import inspect

    from nbsp_lib.methods import find
    chosen = profile.arms[arm]
    defaults = {name: parameter.default for name, parameter in inspect.signature(find(chosen.method)).parameters.items()}
    setting = max((name for name in defaults if arm.startswith(f"{chosen.method}-{name.replace('_', '-')}-")), key=len)
    return setting, chosen.settings[setting], defaults[setting]


def tuning_rows(profile, study):
    """A row for every arm and seed: COLUMNS; ASR, FM and plasticity only where every position is finished."""
    values = per_seed(study).pivot_table(index=["arm", "seed"], columns="metric", values="value") if study.results else {}
    rows = []
    for arm in study.arms:
        setting, value, default = decisive(profile, arm)
        for seed in profile.seeds:
            whole = arm in study.results and study.results[arm].finished(seed) == len(study.tasks)
            numbers = {name: values.loc[(arm, seed)].get(name) for name in ("ASR", "FM", "plasticity")} if whole else {}
            rows.append({"method": profile.arms[arm].method, "arm": arm, "setting": setting, "value": value, "default": default,
                         "seed": seed, "sequence": study.sequence, "status": "ok" if whole else "not run", **numbers})
    return pd.DataFrame(rows, columns=COLUMNS)


def kept(rows, before):
    """`rows`, with those that are finished only in an earlier table (whose runs may be gone) taken from there."""
    known, made = before[before.status == "ok"].set_index(["arm", "seed"]), []
    for row in rows.itertuples(index=False):
        lost = row.status != "ok" and (row.arm, row.seed) in known.index
        made.append(row._asdict() | (known.loc[(row.arm, row.seed)].to_dict() if lost else {}))
    return pd.DataFrame(made, columns=COLUMNS)


def main():
    profile = load_profile(PROFILE)
    rows = tuning_rows(profile, read_study(profile, profile.grid.sequences[0]))
    if Path(TABLE).exists():
        rows = kept(rows, read_csv(TABLE))
    print(write_csv(rows, TABLE), f"{(rows.status == 'ok').sum()} of {len(rows)} runs finished")


if __name__ == "__main__":
    sys.exit(main())
