"""The rules of data/verdict_rules.md, each on a table small enough to judge by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nbsp_lib.results import claims, comparisons

NO_SCORES = pd.DataFrame({"status": [], "chosen_not_above_base": []})
NO_SPEEDS = pd.DataFrame(
    {"sequence": [], "arm": [], "seed": [], "updates_per_s": [], "hardware": [], "mode": [], "population": []}
)


def numbers(arms, sequences=("window",), seeds=5, first=0.9):
    """Rows of numbers: arms {name: (asr, fm, plasticity)}; seed s adds s/1000 to the first arm only."""
    rows = []
    for i, (arm, (asr, fm, plasticity)) in enumerate(arms.items()):
        for sequence in sequences:
            for seed in range(seeds):
                nudge = seed / 1000 * (i == 0)
                rows.append(
                    {
                        "sequence": sequence,
                        "arm": arm,
                        "seed": seed,
                        "positions": 4,
                        "whole": True,
                        "asr": asr + nudge,
                        "fm": fm - nudge,
                        "plasticity": plasticity,
                        "first": first,
                        "diverged": False,
                    }
                )
    return pd.DataFrame(rows)


def row(outcome, seeds=5, sequences="window:4", whole=True, than="b"):
    return {"better": "a", "than": than, "outcome": outcome, "seeds": seeds, "sequences": sequences, "whole": whole}


def of(claim, table, scores=NO_SCORES, speeds=NO_SPEEDS):
    found, _ = claims.ledger(table, speeds, scores)
    return found.set_index("claim").loc[claim]


# one comparison


@pytest.mark.parametrize(
    ("measure", "mean", "low", "high", "pa", "pb", "failed", "expected"),
    [
        ("asr", 0.20, 0.10, 0.30, 0.8, 0.8, False, "yes"),
        ("asr", 0.05, 0.01, 0.10, 0.8, 0.8, False, "yes"),  # the margin itself counts
        ("asr", 0.049, 0.01, 0.10, 0.8, 0.8, False, "no"),
        ("asr", 0.20, 0.10, 0.30, 0.8, 0.8, True, "leaning"),  # a seed diverged
        ("asr", 0.20, -0.10, 0.30, 0.8, 0.8, False, "leaning"),
        ("asr", 0.20, np.nan, np.nan, 0.8, 0.8, False, "leaning"),  # one seed has no interval
        ("asr", -0.20, -0.30, -0.10, 0.8, 0.8, False, "contrary"),
        ("asr", -0.20, -0.30, 0.10, 0.8, 0.8, False, "no"),
        ("asr", -0.20, np.nan, np.nan, 0.8, 0.8, False, "no"),
        ("asr", 0.20, 0.10, 0.30, 0.8, 0.1, False, "yes"),  # plasticity guards only FM
        ("fm", -0.20, -0.30, -0.10, 0.8, 0.39, False, "void"),
        ("fm", 0.20, 0.10, 0.30, 0.39, 0.8, False, "no"),
        ("fm", 0.20, 0.10, 0.30, 0.4, 0.8, False, "yes"),  # exactly half is enough
        ("asr", np.nan, np.nan, np.nan, 0.8, 0.8, False, "missing"),  # nothing was measured: not "no"
        ("fm", 0.20, 0.10, 0.30, np.nan, 0.8, False, "missing"),
    ],
)
def test_outcome(measure, mean, low, high, pa, pb, failed, expected):
    assert comparisons.outcome(measure, mean, low, high, pa, pb, failed) == expected


def test_compare_is_positive_where_the_claim_says_so():
    table = numbers({"nbsp": (0.8, 0.1, 0.8), "other": (0.5, 0.4, 0.8)})
    for measure in ("asr", "fm"):
        line = comparisons.compare(table, measure, "nbsp", "other")
        assert line["mean"] == pytest.approx(0.302)  # 0.3 and the mean nudge of 0 … 4 thousandths
        assert 0.3 <= line["low"] <= line["mean"] <= line["high"] <= 0.304
        assert (line["seeds"], line["sequences"], line["outcome"]) == (5, "window:4", "yes")


def test_only_shared_seeds_are_compared():
    table = numbers({"nbsp": (0.8, 0.1, 0.8), "other": (0.5, 0.4, 0.8)})
    table.loc[(table.arm == "other") & (table.seed == 3), ["asr", "fm", "plasticity"]] = np.nan
    line = comparisons.compare(table, "asr", "nbsp", "other")
    assert line["seeds"] == 4
    assert line["mean"] == pytest.approx(0.3 + (0 + 1 + 2 + 4) / 4000)


def test_n_is_the_smallest_of_the_sequences_and_each_seed_weighs_the_same():
    table = pd.concat(
        [
            numbers({"nbsp": (0.8, 0.1, 0.8), "other": (0.5, 0.4, 0.8)}, ["window"], seeds=5),
            numbers({"nbsp": (0.8, 0.1, 0.8), "other": (0.8, 0.1, 0.8)}, ["drawer"], seeds=3),
        ]
    )
    line = comparisons.compare(table, "asr", "nbsp", "other")
    assert (line["seeds"], line["sequences"]) == (3, "drawer:4 window:4")
    assert line["mean"] == pytest.approx((5 * 0.3 + 0.010 + 0.003) / 8, abs=1e-6)


def test_a_sequence_whose_first_task_was_not_learned_is_named_and_left_out():
    arms = {"nbsp": (0.8, 0, 0.8), "b": (0.2, 0, 0.8)}
    line = comparisons.compare(numbers(arms, first=0.49), "asr", "nbsp", "b")
    assert (line["outcome"], line["not_learned"], line["seeds"]) == ("missing", "window", 0)
    assert comparisons.compare(numbers(arms, first=0.5), "asr", "nbsp", "b")["seeds"] == 5


def test_a_diverged_seed_keeps_a_comparison_from_being_yes():
    table = numbers({"nbsp": (0.8, 0.1, 0.8), "other": (0.5, 0.4, 0.8)}, seeds=6)
    lost = (table.arm == "nbsp") & (table.seed == 5)
    table.loc[lost, ["asr", "fm", "plasticity"]] = np.nan
    table.loc[lost, "diverged"] = True
    line = comparisons.compare(table, "asr", "nbsp", "other")
    assert (line["seeds"], line["outcome"]) == (5, "leaning")


@pytest.mark.parametrize(("longer", "chosen", "seeds"), [(1, 2, 4), (2, 4, 2), (4, 4, 4)])
def test_the_longest_stretch_that_half_of_the_pairs_finished(longer, chosen, seeds):
    """Four pairs finished two positions, `longer` of them all four."""
    whole = numbers({"nbsp": (0.8, 0.1, 0.8), "b": (0.5, 0.4, 0.8)}, seeds=4)
    whole.loc[whole.seed >= longer, ["asr", "fm", "plasticity"]] = np.nan
    short = numbers({"nbsp": (0.7, 0.1, 0.8), "b": (0.5, 0.4, 0.8)}, seeds=4).assign(positions=2, whole=False)
    line = comparisons.compare(pd.concat([short, whole]), "asr", "nbsp", "b")
    assert (line["sequences"], line["seeds"], line["whole"]) == (f"window:{chosen}", seeds, chosen == 4)


def test_numbers_of_the_first_positions():
    """Two seeds, tasks A B A: by hand for k = 2 and k = 3; the second seed stopped after two positions."""
    R = np.array([[[0.8, 0.0], [0.2, 0.6], [1.0, 0.4]], [[0.9, 0.1], [0.9, 0.5], [np.nan, np.nan]]])  # [P=2, K=3, M=2]
    table = claims.seed_numbers(R, np.array([0, 1, 0]), [0, 7], diverged=[7]).set_index(["positions", "seed"])
    assert table.loc[(2, 0), ["asr", "fm", "plasticity", "first"]].tolist() == pytest.approx([0.4, 0.6, 0.7, 0.8])
    assert table.loc[(3, 0), ["asr", "fm", "plasticity"]].tolist() == pytest.approx([0.7, (0.6 + 0.2) / 2, 0.8])
    assert table.loc[(2, 7), "asr"] == pytest.approx(0.7)
    assert np.isnan(table.loc[(3, 7), "asr"])
    assert table.whole.tolist() == [False, False, True, True]
    assert table.diverged.tolist() == [False, True, False, True]


# a claim


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("yes"), row("yes")], "reproduced"),
        ([row("yes"), row("void")], "reproduced"),  # void ones aside
        ([row("yes"), row("missing")], "partly"),
        ([row("yes"), row("leaning")], "partly"),
        ([row("yes"), row("no")], "partly"),  # half of them hold
        ([row("yes"), row("no"), row("no")], "not"),
        ([row("leaning")], "partly"),
        ([row("yes"), row("yes"), row("contrary")], "not"),
        ([row("missing"), row("missing")], "not run"),
        ([row("void")], "not run"),
        ([], "not run"),
        ([row("yes"), row("missing", than="c"), row("missing", than="d")], "not run"),  # one pair of three
        ([row("yes"), row("missing", than="c")], "partly"),  # one pair of two
        ([row("yes", seeds=4)], "partly (indicative)"),
        ([row("yes", seeds=9), row("yes", seeds=4)], "partly (indicative)"),
        ([row("yes", seeds=9), row("void", seeds=1)], "reproduced"),  # seeds of comparisons with an outcome
        ([row("no", seeds=1)], "not (indicative)"),
        ([row("yes", whole=False)], "partly (indicative)"),
    ],
)
def test_verdict(rows, expected):
    assert claims.verdict(rows) == expected


def test_verdict_asks_for_sequences():
    assert claims.verdict([row("yes")], sequences=2) == "partly"
    assert claims.verdict([row("yes", sequences="drawer:4 window:4")], sequences=2) == "reproduced"


def test_c1_needs_every_rival_on_two_sequences():
    arms = {"nbsp": (0.8, 0.1, 0.8)} | dict.fromkeys(claims.RIVALS, (0.5, 0.4, 0.8))
    assert of("C1", numbers(arms, ["window", "drawer"])).verdict == "reproduced"
    assert of("C1", numbers(arms, ["window"])).verdict == "partly"
    few = dict(list(arms.items())[:4])  # three rivals of eight
    assert of("C1", numbers(few, ["window", "drawer"])).verdict == "not run"
    assert of("C1", numbers(arms | {"pi": (0.95, 0.0, 0.8)}, ["window", "drawer"])).verdict == "not"


def test_c2_is_about_atari_sequences_and_the_others_are_not():
    arms = {"nbsp": (0.8, 0.1, 0.8)} | dict.fromkeys(claims.RIVALS, (0.5, 0.4, 0.8))
    games = numbers(arms, ("boxing-road-runner", "bowling-pong"))
    assert (of("C1", games).verdict, of("C2", games).verdict) == ("not run", "reproduced")
    assert (of("C1", numbers(arms, ("window", "drawer"))).verdict, of("C2", numbers(arms)).verdict) == (
        "reproduced",
        "not run",
    )


def test_c3_both_parts_are_needed():
    arms = {"nbsp": (0.8, 0.1, 0.8), "replay-only": (0.6, 0.3, 0.8), "mask-only": (0.5, 0.4, 0.8)}
    assert of("C3", numbers(arms)).verdict == "reproduced"
    assert of("C3", numbers(arms, seeds=3)).verdict == "partly (indicative)"
    replay = of("C3", numbers(arms | {"replay-only": (0.8, 0.1, 0.8)}))  # as good as NBSP
    assert (replay.verdict, replay.holding, replay.compared) == ("partly", 2, 4)
    assert of("C3", numbers(arms | {"replay-only": (0.9, 0.0, 0.8)})).verdict == "not"  # better than NBSP


def test_c4_orders_critic_and_actor():
    arms = {"nbsp": (0.8, 0.1, 0.8), "critic-only": (0.65, 0.25, 0.8), "actor-only": (0.5, 0.4, 0.8)}
    assert of("C4", numbers(arms)).verdict == "reproduced"
    swapped = arms | {"critic-only": (0.5, 0.4, 0.8), "actor-only": (0.65, 0.25, 0.8)}
    # equal differences give an interval of one point, below 0: contrary
    assert of("C4", numbers(swapped)).verdict == "not"


def test_c5_is_at_most_partly_where_scores_do_not_tell_skill_from_silence():
    table = numbers({"nbsp": (0.8, 0.1, 0.8)} | dict.fromkeys(claims.SELECTORS, (0.5, 0.4, 0.8)))
    scores = pd.DataFrame({"status": ["scored", "scored", "unscored"], "chosen_not_above_base": [0.9, 0.1, np.nan]})
    assert of("C5", table, scores).verdict == "reproduced"  # a mean of exactly one half
    assert of("C5", table, scores.assign(chosen_not_above_base=[0.9, 0.2, np.nan])).verdict == "partly"


def test_c6_looks_at_both_sides():
    arms = {"nbsp": (0.8, 0.1, 0.8), "share-05": (0.6, 0.1, 0.8), "share-50": (0.6, 0.1, 0.8)}
    assert of("C6", numbers(arms)).verdict == "reproduced"
    assert of("C6", numbers(arms | {"share-50": (0.8, 0.1, 0.8)})).verdict == "partly"
    assert of("C6", numbers(arms | {"share-50": (0.9, 0.1, 0.8)})).verdict == "not"


LIKE = {"hardware": "x", "mode": "eager", "population": 3}


@pytest.mark.parametrize(
    ("nbsp", "seeds", "unlike", "expected"),
    [
        (100.0, 5, {}, "reproduced"),
        (100.0, 3, {}, "partly (indicative)"),
        (85.0, 5, {}, "partly"),
        (70.0, 5, {}, "not"),
        (100.0, 5, {"hardware": "y"}, "not run"),
        (100.0, 5, {"mode": "compiled"}, "not run"),
        (100.0, 5, {"population": 1}, "not run"),
        (100.0, 5, {"mode": "", "population": 0}, "not run"),
    ],
)
def test_c7_overhead_of_what_was_timed_alike(nbsp, seeds, unlike, expected):
    speeds = pd.DataFrame(
        [
            {"sequence": "window", "arm": arm, "seed": seed, "updates_per_s": speed} | how
            for seed in range(seeds)
            for arm, speed, how in (("fine-tuning", 105.0, LIKE), ("nbsp", nbsp, LIKE | unlike))
        ]
    )
    assert of("C7", numbers({"nbsp": (0.8, 0.1, 0.8)}), speeds=speeds).verdict == expected


def test_every_claim_has_its_line_also_without_any_result():
    empty = numbers({"nbsp": (0, 0, 0)}).iloc[:0]
    found, comparisons = claims.ledger(empty, NO_SPEEDS, NO_SCORES)
    assert found.claim.tolist() == [f"C{i}" for i in range(1, 8)]
    assert set(found.verdict) == {"not run"}
    assert set(comparisons.outcome) == {"missing"}


def test_rules_file_names_every_arm_and_threshold():
    text = (Path(__file__).parents[2] / "data" / "verdict_rules.md").read_text()
    arms = {arm for claim in claims.CLAIMS for pair in claim.pairs for arm in pair}
    assert [arm for arm in sorted(arms) if f"`{arm}`" not in text] == []
    assert f"mean d ≥ {comparisons.MARGIN}" in text
    assert f"**{comparisons.LEARNED}**" in text
    assert f"n ≥ {claims.ENOUGH}" in text
