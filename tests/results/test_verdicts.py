"""The rules of 2026-11-27 in data/verdict_rules.md, each on a table small enough to judge by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nbsp_lib.results import claims, collapse, comparisons, evidence, ledger, tuned, verdicts
from nbsp_lib.results.claims import RIVALS, SELECTORS

NO_SCORES = pd.DataFrame({"sequence": [], "status": [], "chosen_not_above_base": []})
RULES = (Path(__file__).parents[2] / "data" / "verdict_rules.md").read_text(encoding="utf-8").split("# 2026-11-27")[1]


def numbers(arms, sequences=("window",), seeds=5, learned=(0.9, 0.9), spread=0.001, networks=None):
    """Rows of numbers: arms {name: (asr, fm, plasticity)}; seed s adds s · spread to the first arm only. networks {arm:
    sha256}: of all seeds after position 1, by default one for all arms."""
    rows = []
    for i, (arm, (asr, fm, plasticity)) in enumerate(arms.items()):
        for sequence in sequences:
            for seed in range(seeds):
                nudge = seed * spread * (i == 0)
                rows.append(
                    [
                        sequence,
                        arm,
                        seed,
                        4,
                        True,
                        asr + nudge,
                        fm - nudge,
                        plasticity,
                        learned,
                        False,
                        (networks or {}).get(arm, f"n{seed}"),
                        f"c{seed}",
                        0.1,
                    ]
                )
    return pd.DataFrame(rows, columns=evidence.COLUMNS)


def row(outcome, seeds=5, sequences="window:4", whole=True, than="b"):
    return {"better": "a", "than": than, "outcome": outcome, "seeds": seeds, "sequences": sequences, "whole": whole}


def of(claim, table, scores=NO_SCORES, benchmarked=([], [])):
    return verdicts.ledger(table, benchmarked, scores)[0].set_index("claim").loc[claim]


# one comparison


@pytest.mark.parametrize(
    ("measure", "mean", "low", "high", "shared", "n", "pa", "pb", "failed", "expected"),
    [
        ("asr", 0.20, 0.10, 0.30, 0.40, 5, 0.8, 0.8, False, "yes"),
        ("asr", 0.20, 0.10, 0.30, 0.40, 5, 0.8, 0.8, True, "leaning"),  # a seed diverged
        ("asr", 0.05, -0.10, 0.30, 0.40, 5, 0.8, 0.8, False, "leaning"),
        ("asr", 0.20, np.nan, np.nan, np.nan, 1, 0.8, 0.8, False, "leaning"),
        ("asr", -0.20, -0.30, -0.10, -0.01, 5, 0.8, 0.8, False, "contrary"),
        ("asr", -0.20, -0.30, -0.10, -0.01, 4, 0.8, 0.8, False, "no"),  # too few seeds for contrary
        ("asr", -0.20, -0.30, -0.10, 0.01, 9, 0.8, 0.8, False, "no"),  # not at the shared level
        ("asr", -0.04, -0.05, -0.03, -0.02, 9, 0.8, 0.8, False, "no"),  # below the margin
        ("asr", 0.00, -0.04, 0.04, 0.10, 5, 0.8, 0.8, False, "no"),  # an advantage of 0.05 is excluded
        ("asr", 0.00, -0.05, 0.05, 0.10, 5, 0.8, 0.8, False, "open"),  # and here it is not
        ("asr", -0.20, np.nan, np.nan, np.nan, 1, 0.8, 0.8, False, "open"),
        ("fm", -0.20, -0.30, -0.10, -0.01, 5, 0.8, 0.39, False, "void"),
        ("fm", 0.20, 0.10, 0.30, 0.40, 5, 0.39, 0.8, False, "no"),
        ("asr", np.nan, np.nan, np.nan, np.nan, 5, 0.8, 0.8, False, "missing"),
        ("fm", 0.20, 0.10, 0.30, 0.40, 5, np.nan, 0.8, False, "missing"),
    ],
)
def test_outcome(measure, mean, low, high, shared, n, pa, pb, failed, expected):
    assert verdicts.outcome(measure, mean, low, high, shared, n, pa, pb, failed) == expected


def test_against_has_the_numbers_of_compare_and_leaves_out_what_does_not_count():
    """nbsp has 0.2 more ASR than a and loses 0.1 less, seed by seed equal; of b no task was learned by it or by nbsp."""
    rows = numbers({"nbsp": (0.8, 0.1, 0.9), "a": (0.6, 0.2, 0.8)}, spread=0.0)
    rows = pd.concat([rows, numbers({"nbsp": (0.8, 0.1, 0.9), "b": (0.1, 0.0, 0.1)}, ["drawer"], learned=(0.9, 0.1))])
    table = verdicts.against(rows, "nbsp")
    assert table[["measure", "than", "seeds", "sequences"]].to_numpy().tolist() == [
        ["asr", "a", 5, "window:4"],
        ["fm", "a", 5, "window:4"],
    ]
    assert table["mean"].tolist() == pytest.approx([0.2, 0.1]) and table.outcome.tolist() == ["yes", "yes"]
    read = ledger.against_wide(table)
    assert read.iloc[0].tolist()[0] == "a" and "+0.20 [+0.20, +0.20]" in read.iloc[0].tolist()
    assert verdicts.against(rows[:0], "nbsp").empty


def test_pairs_only_where_position_one_is_bit_equal():
    """Both arms rise by the seed alike: paired, the difference is 0.2 without spread; as two samples it has Welch's interval."""
    arms = {"nbsp": (0.7, 0.1, 0.8), "b": (0.5, 0.4, 0.8)}
    table = numbers(arms, spread=0.05)
    rising = table.arm == "b"
    table.loc[rising, "asr"] += table.seed[rising] * 0.05
    line = verdicts.compare(table, "asr", "nbsp", "b", 2)
    assert (line["paired"], line["mean"], line["low"], line["high"], line["outcome"]) == (
        "paired",
        0.2,
        0.2,
        0.2,
        "yes",
    )
    table.loc[rising & (table.seed == 3), "network"] = "other"  # one seed is enough
    line = verdicts.compare(table, "asr", "nbsp", "b", 2)
    x = 0.05 * np.arange(5)
    theirs = stats.ttest_ind(0.7 + x, 0.5 + x, equal_var=False).confidence_interval(0.95)
    assert line["paired"] == "two samples" and (line["low"], line["high"]) == pytest.approx(
        (theirs.low, theirs.high), abs=1e-6
    )
    table.loc[table.arm == "b", "network"] = ""  # not shipped: the recorded rows decide
    assert verdicts.compare(table, "asr", "nbsp", "b", 2)["paired"] == "paired"
    table.loc[rising, "curve"] = "another"
    assert verdicts.compare(table, "asr", "nbsp", "b", 2)["paired"] == "two samples"


def test_two_samples_use_all_seeds_of_each_arm_and_pairs_only_shared_ones():
    table = numbers({"nbsp": (0.7, 0.1, 0.8), "b": (0.5, 0.4, 0.8)}, spread=0.1)
    table = table[~((table.arm == "b") & (table.seed < 2))]
    line = verdicts.compare(table, "asr", "nbsp", "b", 2)
    assert (line["seeds"], line["mean"]) == (3, pytest.approx(0.2 + 0.3))  # seeds 2, 3, 4
    table.loc[table.arm == "b", "network"] = "other"
    line = verdicts.compare(table, "asr", "nbsp", "b", 2)
    assert (line["seeds"], line["mean"]) == (3, pytest.approx(0.2 + 0.2))  # seeds 0 … 4 against three


def test_a_sequence_weighs_by_its_seeds():
    table = pd.concat(
        [
            numbers({"nbsp": (0.8, 0.1, 0.8), "b": (0.5, 0.4, 0.8)}, ["window"], seeds=5, spread=0),
            numbers({"nbsp": (0.8, 0.1, 0.8), "b": (0.8, 0.1, 0.8)}, ["drawer"], seeds=3, spread=0),
        ]
    )
    line = verdicts.compare(table, "asr", "nbsp", "b", 2)
    assert (line["seeds"], line["sequences"], line["mean"]) == (3, "drawer:4 window:4", pytest.approx(5 * 0.3 / 8))


def test_every_task_must_be_learned_where_it_was_first_trained():
    arms = {"nbsp": (0.8, 0, 0.8), "b": (0.2, 0, 0.8)}
    assert verdicts.compare(numbers(arms, learned=(0.9, 0.5)), "asr", "nbsp", "b", 2)["seeds"] == 5
    line = verdicts.compare(numbers(arms, learned=(0.9, 0.49)), "asr", "nbsp", "b", 2)
    assert (line["outcome"], line["not_learned"]) == ("missing", "window")
    # one arm learned it: that the other did not is a result
    table = numbers(arms, learned=(0.9, 0.4))
    table.loc[table.arm == "b", "learned"] = pd.Series([(0.9, 0.8)] * 5, index=table.index[table.arm == "b"])
    assert verdicts.compare(table, "asr", "nbsp", "b", 2)["seeds"] == 5


def test_unequal_doses_are_marked():
    table = numbers({"nbsp": (0.8, 0.1, 0.8), "b": (0.5, 0.4, 0.8)})
    assert verdicts.compare(table, "asr", "nbsp", "b", 2)["dose"] == "0.1 = 0.1"
    assert (
        verdicts.compare(table.assign(dose=np.where(table.arm == "b", 0.5, 0.1)), "asr", "nbsp", "b", 2)["dose"]
        == "0.1 ≠ 0.5"
    )
    for method, settings, dose in (
        ("nbsp", {"replay_every": 4}, 0.25),
        ("nbsp", {}, 0.1),
        ("nbsp", {"replay_every": 0}, 0),
        ("er", {"share": 0.1}, 0.1),
        ("clear", {}, 0.5),
        ("ewc", {"weight": 1.0}, 0),
    ):
        assert evidence.dose({"config": {"method": method, "settings": settings}}) == dose


def test_equal_arms_are_rarely_contrary():
    """Eight rivals equal to NBSP, n = 5: with the shared level a claim has a contrary one in at most 2.5 % (+ noise) of 400
    trials."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(400):
        values = rng.normal(0.7, 0.2, (9, 5))
        found += any(
            verdicts.judge("asr", [(values[0], other, True)], 8, 0.8, 0.8, False)["outcome"] == "contrary"
            for other in values[1:]
        )
    assert found / 400 < 0.045


# a claim


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("yes"), row("yes")], "reproduced"),
        ([row("yes"), row("void")], "reproduced"),
        ([row("yes"), row("missing")], "partly"),
        ([row("yes"), row("no")], "partly"),
        ([row("yes"), row("no"), row("no")], "not"),
        ([row("yes"), row("no"), row("open")], "open"),  # neither holds in half, nor is excluded in more
        ([row("open", seeds=3)], "open (indicative)"),
        ([row("no", seeds=3)], "not (indicative)"),
        ([row("contrary"), *(row("missing", than=x) for x in "cdefg")], "not"),  # one better rival is enough
        ([row("contrary", whole=False)], "not (indicative)"),
        ([row("contrary"), row("yes", seeds=3, than="c")], "not"),
        ([row("yes"), row("missing", than="c"), row("missing", than="d")], "not run"),
        ([row("void")], "not run"),
        ([], "not run"),
        ([row("yes", seeds=4)], "partly (indicative)"),
    ],
)
def test_verdict(rows, expected):
    assert verdicts.verdict(rows) == expected


def test_one_better_rival_answers_c1_before_the_others_have_run():
    arms = {"nbsp": (0.5, 0.4, 0.8), "er": (0.9, 0.0, 0.8), "ewc": (0.9, 0.0, 0.8)}
    assert of("C1", numbers(arms)).verdict == "not"
    assert of("C1", numbers(arms, seeds=4)).verdict == "not run"  # of four seeds nothing is contrary
    whole = {"nbsp": (0.8, 0.1, 0.8)} | dict.fromkeys(RIVALS, (0.5, 0.4, 0.8))
    assert of("C1", numbers(whole, ["window", "drawer"])).verdict == "reproduced"
    assert of("C1", numbers(whole, ["window"])).verdict == "partly"


def test_c1_compares_tuned_arms_for_both_k():
    """ewc is better once it is tuned, and so is nbsp; a rival without a setting stands as it is."""
    arms = {
        "nbsp": (0.7, 0.1, 0.8),
        "nbsp-replay-every-4": (0.9, 0.0, 0.8),
        "ewc": (0.5, 0.4, 0.8),
        "pi": (0.5, 0.4, 0.8),
    }
    table = numbers(arms | {"ewc-weight-1": (0.8, 0.05, 0.8), "npc": (0.1, 0.8, 0.8)}, spread=0.0)
    chosen = {"nbsp": "nbsp-replay-every-4", "ewc": "ewc-weight-1", "npc": "npc (choice open)"}
    found = {
        (one["better"], one["than"]): one["outcome"]
        for one in tuned.tuned_rows(table, chosen)
        if one["measure"] == "asr"
    }
    assert len(found) == 2 * len(RIVALS)
    assert found["nbsp", "ewc-weight-1"] == "contrary" and found["nbsp-replay-every-4", "ewc-weight-1"] == "yes"
    assert found["nbsp", "pi"] == "yes" and found["nbsp", "npc (choice open)"] == found["nbsp", "ancl"] == "missing"
    text = tuned.told(tuned.tuned_rows(table, chosen))
    assert "`nbsp` against tuned rivals: **not**. Not run: fine-tuning, npc (choice open)" in text
    assert "`nbsp-replay-every-4` against tuned rivals: **not run**." in text  # two of eight
    assert "-0.10 [-0.10, -0.10]" in text and "+0.10 [+0.10, +0.10]" in text


def test_c3_has_a_verdict_per_conjunct():
    arms = {"nbsp": (0.8, 0.1, 0.8), "replay-only": (0.8, 0.1, 0.8), "mask-only": (0.5, 0.4, 0.8)}
    table = numbers(arms)
    assert [of(name, table).verdict for name in ("C3", "C3a", "C3b")] == ["not", "not", "reproduced"]
    assert of("C3", table).compared == 4 and of("C3a", table).compared == 2
    assert [of(name, numbers(arms | {"replay-only": (0.6, 0.3, 0.8)})).verdict for name in ("C3", "C3a")] == [
        "reproduced"
    ] * 2
    assert verdicts.weaker(["partly", "reproduced"]) == "partly" and verdicts.weaker(["open", "not run"]) == "not run"
    assert verdicts.weaker(["partly", "partly (indicative)"]) == "partly (indicative)"


def test_c5_is_capped_by_scores_of_meta_world_only():
    table = numbers({"nbsp": (0.8, 0.1, 0.8)} | dict.fromkeys(SELECTORS, (0.5, 0.4, 0.8)))
    scores = pd.DataFrame({"sequence": ["window", "cartpole"], "status": "scored", "chosen_not_above_base": [0.2, 1.0]})
    assert of("C5", table, scores).verdict == "reproduced"
    assert of("C5", table, scores.assign(chosen_not_above_base=[0.6, 0.0])).verdict == "partly"


@pytest.mark.parametrize(
    ("updates", "scoring", "expected"),
    [
        ([0.01, 0.02, 0.01, 0.02, 0.01], [0.01] * 5, "reproduced"),
        ([0.01] * 4, [0.01] * 9, "partly (indicative)"),
        ([0.3] * 5, [0.01] * 5, "not"),
        ([0.01], [0.01], "partly (indicative)"),
        ([0.3], [0.01], "not (indicative)"),
        ([0.1] * 5, [], "not run"),
    ],
)
def test_c7_is_the_sum_of_updates_and_scoring(updates, scoring, expected):
    table = numbers({"nbsp": (0.8, 0.1, 0.8)})
    assert of("C7", table, benchmarked=(updates, scoring)).verdict == expected
    if scoring:
        assert verdicts.cost(updates, scoring)["mean"] == pytest.approx(np.mean(updates) + np.mean(scoring), abs=1e-6)


def test_the_rules_name_what_the_code_uses():
    for text in (
        f"mean d ≥ {verdicts.MARGIN}",
        f"at least **{comparisons.LEARNED}**",
        f"n ≥ {claims.ENOUGH}",
        f"at least {evidence.GATE} of the way",
        f"swing-up] < {collapse.COLLAPSED}",
        f"R[2, swing-up] < {collapse.LEARNED}",
        "from n = 20",
    ):
        assert text in RULES, text
