"""The tuning of every method with the same small budget: profile `tuning` -> data/tuning.csv. python -m nbsp_lib.results.tuning

An arm of that profile is METHOD-SETTING-VALUE, the value without its point. The sequences of its grid are stages: all arms run on
the first, of each method the best two on the next, and the best of the last is chosen. Rule of choice: data/verdict_rules.md,
"Tuned settings (E8)". What is planned and was not run has a row too.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pandas as pd

from nbsp_lib.methods import find
from nbsp_lib.results.output import DIGITS, write_csv
from nbsp_lib.results.study import read_study
from nbsp_lib.results.tables import per_seed
from nbsp_lib.runs.files import read_csv
from nbsp_lib.runs.settings import load_profile

PROFILE, TABLE = "profiles/tuning/params.yaml", "data/tuning.csv"
NUMBERS = ["ASR", "FM", "plasticity"]
COLUMNS = ["method", "arm", "setting", "value", "default", "seed", "sequence", "status", *NUMBERS, "measure", "rank"]
ENDED = ("ok", "diverged")  # a third status is "planned"
FAILED = -1.0  # the measure of a seed that diverged
TIE = 0.02  # means of the measure that far from the best are no worse
GO_ON = 2  # so many values of a method go to the next stage


def decisive(profile, arm):
    """(setting, value, default) that an arm tries: what its name says."""
    chosen = profile.arms[arm]
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(find(chosen.method)).parameters.items()
    }
    named = [name for name in defaults if arm.startswith(f"{chosen.method}-{name.replace('_', '-')}-")]
    setting = max(named, key=len)
    return setting, chosen.settings[setting], defaults[setting]


def stage_rows(profile, study, arms):
    """Returns a row for every arm of `arms` and seed of the profile: COLUMNS up to `plasticity`.

    The numbers are there only where every position is finished.
    """
    values = (
        per_seed(study).pivot_table(index=["arm", "seed"], columns="metric", values="value") if study.results else {}
    )
    rows = []
    for arm in arms:
        setting, value, default = decisive(profile, arm)
        result = study.results.get(arm)
        for seed in profile.seeds:
            whole = result is not None and result.finished(seed) == len(study.tasks)
            failed = result is not None and seed in result.run["diverged"]
            row = {
                "method": profile.arms[arm].method,
                "arm": arm,
                "setting": setting,
                "value": value,
                "default": default,
            }
            row |= {"seed": seed, "sequence": study.sequence}
            row["status"] = "diverged" if failed else "ok" if whole else "planned"
            if row["status"] == "ok":  # rounded as they are written, so that the measure is that of the written numbers
                row |= values.loc[(arm, seed)].reindex(NUMBERS).round(DIGITS).to_dict()
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS[:-2])


def kept(rows, before):
    """Returns `rows`, with those that have ended only in an earlier table (whose runs may be gone) taken from there."""
    known = before[before.status.isin(ENDED)].set_index(["arm", "seed", "sequence"])
    made = []
    for row in rows.to_dict("records"):
        place = row["arm"], row["seed"], row["sequence"]
        lost = row["status"] not in ENDED and place in known.index
        made.append(row | (known.loc[place, ["status", *NUMBERS]].to_dict() if lost else {}))
    return pd.DataFrame(made, columns=rows.columns)


def measured(rows):
    """Returns ASR − max(FM, 0) of each row; FAILED of a seed that diverged; NaN of one that has not ended."""
    return (rows.ASR.astype(float) - rows.FM.astype(float).clip(lower=0)).mask(rows.status == "diverged", FAILED)


def in_order(means, tried, default):
    """Returns the values of `means` {value: mean of the measure}, the one to take first at the front.

    The best is taken first; of those within TIE of it the one that is nearest to `default` in rank order of all values `tried`
    (the default itself is nearest), of two that are equally near the one with the higher mean, then the smaller. The second place
    goes by the same rule among the others.
    """
    left, places, found = dict(means), sorted(tried), []
    while left:
        ties = [value for value in left if left[value] >= max(left.values()) - TIE - 1e-9]
        away = lambda value: abs(places.index(value) - places.index(default))
        found.append(min(ties, key=lambda value: (away(value), -left[value], value)))
        del left[found[-1]]
    return found


def ranked(profile, rows):
    """Returns the rows of one stage with their measure and, of a method all of whose rows have ended, the rank of each value."""
    rows = rows.assign(measure=measured(rows), rank=pd.NA)
    for method, own in rows.groupby("method", sort=False):
        if own.status.isin(ENDED).all():
            tried = [decisive(profile, arm)[1] for arm, chosen in profile.arms.items() if chosen.method == method]
            order = in_order(own.groupby("value").measure.mean().to_dict(), tried, own.default.iloc[0])
            rows.loc[own.index, "rank"] = [order.index(value) + 1 for value in own.value]
    return rows.astype({"rank": "Int64"})


def best(rows, count):
    """Returns the rows whose value is among the best `count` of its method and stage; none of a method with an open value."""
    return rows[(rows["rank"] <= count).fillna(False)]


def chosen_arms(rows, stage):
    """Returns {method: the arm that carries its chosen setting}; where the choice is open, a name that no run has.

    An arm with the default is named as its method. rows: of data/tuning.csv; stage: the sequence on which is chosen.
    """
    found = {method: f"{method} (choice open)" for method in rows.method}
    for row in best(rows[rows.sequence == stage], 1).itertuples():
        found[row.method] = row.method if row.value == row.default else row.arm
    return found


def tuning_table(profile, before):
    """Returns the rows of all stages, COLUMNS: of the first every arm, of a later one the arms that the rule sends there.

    before: an earlier table, see `kept`.
    """
    arms, stages = profile.grid.arms, []
    for sequence in profile.grid.sequences:
        found = stage_rows(profile, read_study(profile, sequence, profile.grid.arms), arms)
        stages.append(ranked(profile, kept(found, before)))
        arms = tuple(best(stages[-1], GO_ON).arm.unique())
    return pd.concat(stages, ignore_index=True)[COLUMNS]


def main():
    """Write data/tuning.csv and say of each stage what has ended and which command runs the rest."""
    profile = load_profile(PROFILE)
    before = read_csv(TABLE) if Path(TABLE).exists() else pd.DataFrame(columns=COLUMNS)
    rows = tuning_table(profile, before)
    print(write_csv(rows, TABLE))
    for sequence, stage in rows.groupby("sequence", sort=False):
        print(f"{sequence}: {stage.status.isin(ENDED).sum()} of {len(stage)} runs have ended")
        if planned := [*stage.arm[stage.status == "planned"].unique()]:
            print(f"  nbsp run --profile tuning --sequence {sequence} --arm {' '.join(planned)} --jobs 2 --no-dvc")


if __name__ == "__main__":
    sys.exit(main())
