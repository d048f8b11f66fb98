"""Measured numbers in prose are those of the tables: each sentence is made from data/expected and looked for in its document."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

ROOT = Path(__file__).parents[2]
README, REPRODUCE, FINDINGS, SCALING = "README.md", "REPRODUCE.md", "docs/findings.md", "docs/scaling.md"
METHODS = "docs/methods.md"
READ = ("core/method.py", "core/sac.py", "core/neurons.py", "methods/nbsp.py")
ARMS = ("nbsp", "replay-only", "mask-only", "fine-tuning")
GRAFTS = {  # as findings.md says it: as the table does
    "nothing": "nothing",
    "incoming weights of the best-scored 20 %, which the mask holds": "incoming, 20 % by score",
    "output layer": "output layer",
    "both ends of the best-scored 20 %": "both ends, 20 % by score",
    "both ends of the most active 50 %": "both ends, 50 % by activation",
    "both ends of the most active 80 %": "both ends, 80 % by activation",
    "the whole actor": "everything",
}


def table(name, **where):
    """The rows of a table of data/expected in which columns have given values."""
    frame = pd.read_csv(ROOT / "data/expected" / name)
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame), (name, where)
    return frame


def said(number):
    return f"{number:.2f}".replace("-", "−")


def between(row, name="mean"):
    low, high = (row.low, row.high) if name == "mean" else (row[f"{name} low"], row[f"{name} high"])
    return f"{said(row[name])} [{said(low)}, {said(high)}]"


def of_one_switch():
    rows = table("retention/retention.csv")
    rows = rows[rows.arm.isin(ARMS)].groupby("arm")
    kept, n = rows[["old", "new", "asr"]].mean(), rows.size().unique()
    pairs = table("retention/retention_pairs.csv").set_index(["arm", "against", "measure"])
    pair = lambda arm, against, measure="old": pairs.loc[(arm, against, measure)]
    mask = pair("nbsp", "replay-only")
    assert len(n) == 1 and mask.n == n[0] and mask.low < 0 < mask.high
    old = [said(kept.old[arm]) for arm in ARMS]
    yield (
        README,
        (
            f"success on the old task is {old[0]} with NBSP, {old[1]} with its replay alone, {old[2]} with its mask "
            f"alone and {old[3]} with neither (means of n = {n[0]} seeds"
        ),
    )
    yield README, f"+{said(mask['mean'])}, 95 % interval {said(mask.low)} to {said(mask.high)}"
    yield FINDINGS, f"mean of n = {n[0]} seeds (`results/retention/retention.csv`)"
    for arm, parts in zip(ARMS, ("yes | yes", "no | yes", "yes | no", "no | no")):
        yield FINDINGS, f"| `{arm}` | {parts} | " + " | ".join(said(number) for number in kept.loc[arm]) + " |"
    yield FINDINGS, f"`replay-only` minus `fine-tuning` is {between(pair('replay-only', 'fine-tuning'))}"
    yield FINDINGS, f"`nbsp` minus `mask-only` is {between(pair('nbsp', 'mask-only'))}"
    yield (
        FINDINGS,
        (
            f"`nbsp` minus `replay-only` is {between(mask)} on the old task and "
            f"{between(pair('nbsp', 'replay-only', 'asr'))} in the mean of both"
        ),
    )
    spread = (mask.high - mask.low) / 2 / stats.t.ppf(0.975, mask.n - 1) * math.sqrt(mask.n)
    yield (
        FINDINGS,
        (
            f"have a standard deviation of {said(spread)}. An interval of ± 0.05 then needs about "
            f"{(1.96 * spread / 0.05) ** 2:.0f} seeds"
        ),
    )
    yield FINDINGS, f"the smallest p of an exact sign-flip test is {mask.p_least:g}, with n = 3 it is {2 / 2**3:g}"
    widths = {n: said(stats.t.ppf(0.975, n - 1) / math.sqrt(n)) for n in (3, 5)}
    yield FINDINGS, f"n = 5 is the mean ± {widths[5]} standard deviations, of n = 3 the mean ± {widths[3]}"
    yield FINDINGS, f"exclude an advantage of the mask above {said(mask.high)}"


def of_the_tuning():
    values = table("tuning/values.csv", sequence="cartpole")
    whole = [method for method, own in values.groupby("method") if own["rank"].notna().all()]
    yield METHODS, f"{values.n.sum()} of {5 * len(values)} runs of cartpole have ended"
    yield METHODS, f"{len(whole)} of {values.method.nunique()} methods have all four values there"
    means = {method: own.sort_values("value")["mean"] for method, own in values.groupby("method")}
    for method, at in (
        ("cotasp", "`sparsity` 0.001 to 0.05"),
        ("cbp", "`rho` 1e-6 to 1e-3"),
        ("redo", "`threshold` 0 to 0.2"),
        ("quiet", "`weight` 1 to 1000"),
    ):
        *first, last = map(said, means[method])
        yield METHODS, f"of `{method}`: {', '.join(first)} and {last} at {at}"
    once, choices = table("tuning/values.csv", sequence="window-once"), table("tuning/choices.csv")
    chosen = choices.dropna(subset="chosen")
    yield METHODS, f"and {once.n.sum()} of {5 * len(once)} runs of `window-once`"
    for document in (README, FINDINGS, METHODS):
        yield document, f"a value is chosen for {len(chosen)} of {len(choices)} methods"
    assert (chosen.chosen == chosen.default).all() and chosen.method.tolist() == ["nbsp", "ewc", "ancl"]
    yield FINDINGS, "The tuning kept the default of `nbsp`, `ewc` and `ancl`, so"
    for row in chosen.itertuples():
        first, second = once[once.method == row.method].sort_values("rank").itertuples()
        assert first.value == row.chosen
        told = f"{said(first.mean)}; {second.value:g} gives {said(second.mean)}"
        yield METHODS, f"`{row.method}` {row.chosen:g} ({told})"
    yield METHODS, f"four means of `nbsp` lie within {said(means['nbsp'].max() - means['nbsp'].min())}, so"


def of_the_second_pair():
    """E1 once more, on faucet-once: ten seeds, all of one start."""
    rows = table("second_pair/retention.csv")
    kept = rows.groupby("arm")[["old", "new", "asr"]].mean()
    assert (rows.groupby("arm").size() == 10).all() and len(kept) == 4
    for arm in ARMS:
        yield FINDINGS, f"| `{arm}` | " + " | ".join(said(number) for number in kept.loc[arm]) + " |"
    answers = table("second_pair/retention_questions.csv").set_index(["arm", "against", "measure"])
    assert (answers.n == 10).all() and (answers.paired == "paired").all()
    mask = [answers.loc["nbsp", "replay-only", measure] for measure in ("old", "asr")]
    assert [row.outcome for row in mask] == ["no", "no"]
    yield (
        FINDINGS,
        f"`nbsp` minus `replay-only` is {between(mask[0])} on the old task and {between(mask[1])} in the mean of both: "
        "an advantage",
    )
    yield README, f"on a second pair {said(mask[0]['mean'])}, {said(mask[0].low)} to {said(mask[0].high)}"
    old = [between(answers.loc[(*pair, "old")]) for pair in (("replay-only", "fine-tuning"), ("nbsp", "mask-only"))]
    yield FINDINGS, f"`replay-only` minus `fine-tuning` is {old[0]}, `nbsp` minus `mask-only` {old[1]}"
    first = rows[rows.arm == "nbsp"]
    yield FINDINGS, f"{first.steps_to_mastery.notna().sum()} of {len(first)} seeds had mastered faucet-open before"
    yield FINDINGS, f"learned to {said(kept.new.min())} to {said(kept.new.max())} in 64,000 steps"


def of_the_cycle():
    order = ("fine-tuning", "mask-only", "replay-only", "nbsp")
    rows = table("main_table/window/main_table.csv").set_index(["metric", "arm"])
    n = {rows.k["ASR", arm] for arm in order}
    yield FINDINGS, f"window-open and window-close twice, n = {n.pop()} (`results/main_table/window/main_table.csv`)"
    assert not n
    means = rows["mean"]
    fm, asr, kept = ([said(means[name, arm]) for arm in order] for name in ("FM", "ASR", "relative retention"))
    yield (
        FINDINGS,
        (f"{fm[0]} for `fine-tuning`, {fm[1]} for `mask-only`, {fm[2]} for `replay-only` and {fm[3]} for `nbsp`"),
    )
    yield FINDINGS, f"relative retention is {kept[0]}, {kept[1]}, {kept[2]} and {kept[3]} in the same order"
    yield FINDINGS, f"ASR {asr[0]}, {asr[1]}, {asr[2]} and {asr[3]}."
    pairs = table("claims/claims.csv", claim="C3", than="replay-only").set_index("measure")
    yield (
        FINDINGS,
        f"`nbsp` minus `replay-only` is {between(pairs.loc['asr'])} in ASR, and its FM is better by "
        f"{between(pairs.loc['fm'])}",
    )
    assert set(pairs.outcome) == {"open"}
    second = table("main_table/window/mastery.csv", position=2).set_index("arm")
    ours, replay = second.loc["nbsp"], second.loc["replay-only"]
    yield (
        FINDINGS,
        (
            f"by {ours.mastered} of {ours.finished} seeds of `nbsp` and by {replay.mastered} of "
            f"{replay.finished} of `replay-only`"
        ),
    )


SEEDS = 10  # of the two arms of profile retention that the pages of causes look at


def of_causes():
    grafts = table("graft/window-once/graft_table.csv", arm="mask-only", n=SEEDS).set_index("graft")
    held, whole = (said(grafts["mean"][name]) for name in ("incoming, 20 % by score", "everything"))
    yield (
        README,
        (
            f"with the weights that the mask holds put back exactly, success is {held}, with the whole actor {whole} "
            f"(mask alone, n = {SEEDS}"
        ),
    )
    for text, graft in GRAFTS.items():
        yield FINDINGS, f"| {text} | {between(grafts.loc[graft])} |"
    row = table("awakening/window-once/awakening.csv", arm="mask-only", n=SEEDS).iloc[0]
    yield FINDINGS, f"They carry {between(row, 'share')} of the change"
    yield (
        FINDINGS,
        (
            f"With these neurons switched off success is {said(row['without, window-open'])}; with the once active "
            f"ones put back it is {said(row['active held, window-open'])}"
        ),
    )


def of_the_score():
    rows = table("clock/window/clock_table.csv", task="window-open", network="actor", n=3).set_index("comparison")
    overlap = {name: between(row) for name, row in rows.iterrows()}
    yield (
        FINDINGS,
        (
            f"overlaps with the paper's choice by {overlap['labels of other episodes']} (Jaccard). "
            f"Two halves of one rollout overlap by {overlap['two halves of a rollout']}"
        ),
    )
    yield (
        FINDINGS,
        (f"reach {overlap['late in the episode']}, a score of success at equal times {overlap['goal given the time']}"),
    )
    scored = table("score_report/window/score_report.csv", arm="nbsp", network="actor", status="scored")
    trapped = scored[scored.chosen_not_above_base > 0]
    assert list(zip(trapped.seed, trapped.position)) == [(1, 4)]
    percent = f"{100 * trapped.chosen_not_above_base.iloc[0]:.0f} %"
    yield (
        FINDINGS,
        f"In one of the {len(scored)} scored rollouts of `nbsp` on `window`, that of seed 1 at position 4, {percent}",
    )
    cut = table("clock/window/horizon.csv", task="window-open", network="actor").groupby("horizon").chosen_silent.mean()
    assert not cut[cut.index >= 100].any()
    yield (
        FINDINGS,
        (
            f"after 50 steps of window-open {100 * cut[50]:.0f} % of the chosen actor neurons are silent, "
            "from 100 steps on none"
        ),
    )


def of_tasks_alone():
    drawer = pd.read_csv(ROOT / "data/checkpoints/drawer-open/fine-tuning/R.csv")
    assert len(drawer) == 3 and np.all(drawer.steps == 160000)
    yield FINDINGS, f"the best of three seeds reaches a success of {said(drawer.success.max())}"


def of_the_parts_of_nbsp():
    """C4 to C6: which network is masked, which neurons, how many."""
    rows = table("claims/claims.csv")
    rows = rows[rows.claim.isin(["C4", "C5", "C6"])]
    for (claim, better, than), pair in rows.groupby(["claim", "better", "than"]):
        told = {row.measure: f"{between(row)} {row.outcome}" for _, row in pair.iterrows()}
        yield FINDINGS, f"| {claim} | `{better}` | `{than}` | {told['asr']} | {told.get('fm', '–')} |"
    asr = rows[(rows.measure == "asr") & (rows.better == "nbsp")]
    yield FINDINGS, f"ASR of `nbsp` is below that of {(asr['mean'] < 0).sum()} of {len(asr)} variants of it"
    most = [f"`{arm}`" for arm in asr.sort_values("mean").than.iloc[:2]]
    yield FINDINGS, f"most of all below {most[0]} and {most[1]}"
    ours, least, most = asr.plasticity_better.iloc[0], asr.plasticity_than.min(), asr.plasticity_than.max()
    yield FINDINGS, f"plasticity is {said(ours)} for `nbsp` and {said(least)} to {said(most)} for the variants"
    n = sorted(rows.seeds_compared.astype(int).unique())
    yield FINDINGS, f"The whole cycle again, n = {' to '.join(map(str, n))}, every arm with the replay of `nbsp`"
    assert not rows.outcome.isin(["yes", "contrary"]).any()


def of_the_ends():
    """After one switch: which end of a neuron is held (E2), and which network (E4)."""
    rows = table("retention/retention_questions.csv", measure="old").set_index(["question", "arm", "against"])
    for arm in ("outgoing", "both-ends", "output-held", "hidden-frozen"):
        row = rows.loc[("E2", f"mask-only-{arm}", "mask-only")]
        yield FINDINGS, f"| `mask-only-{arm}` | {row.n} | {between(row)} | {row.outcome} |"
    ends = table("retention/retention.csv", arm="protect-active")
    yield (
        FINDINGS,
        f"is {said(ends.old.mean())} at the end, and {said(ends.new.mean())} on the new one (n = {len(ends)})",
    )
    row = rows.loc[("E4", "critic-only", "actor-only")]
    yield FINDINGS, f"`critic-only` minus `actor-only` is {between(row)} on the old task (n = {row.n}"


def compared(question, measure="old"):
    """Rows of a question of one switch, seeds 5 to 9, by (arm, the other)."""
    rows = table("retention/retention_questions.csv", question=question, measure=measure, seeds="5–9")
    assert (rows.n == 5).all()
    return rows.set_index(["arm", "against"])


def of_what_is_frozen():
    """After one switch, no replay: both ends of so many neurons held, chosen in four orders (E3), described only."""
    rows = table("retention/retention.csv")
    rows = rows[rows.seed.between(5, 9)]
    kept, n = rows.groupby("arm")[["old", "new"]].mean(), rows.groupby("arm").size()
    ends = lambda arm: f"{said(kept.old[arm])} / {said(kept.new[arm])}"
    for order in ("score", "balanced", "activation", "random"):
        arms = [f"freeze-{order}-{share}" for share in (20, 50, 80)]
        assert (n[arms] == 5).all()
        yield FINDINGS, f"| {order} | " + " | ".join(ends(arm) for arm in arms) + " |"
    of = lambda share: kept.filter(regex=rf"^freeze-\D+-{share}$", axis=0)
    assert of(50).old.max() < 0.25 < 0.45 < of(50).new.min() and of(80).old.max() < 0.45 and of(80).new.max() < 0.4
    assert kept.old["freeze-100"] < 0.5
    yield FINDINGS, f"All hidden neurons frozen: {ends('freeze-100')}"


def of_every_dose():
    """After one switch: the mask at every dose of replay (E5)."""
    old, both = compared("E5"), compared("E5", "asr")
    kept = table("retention/retention.csv")
    kept = kept[kept.seed.between(5, 9)].groupby("arm")[["old", "new"]].mean()
    for pair in old.index:
        ends = " | ".join(f"{said(kept.old[arm])} / {said(kept.new[arm])}" for arm in pair)
        name = {"nbsp": "10", "mask-only": "never", "er-10": "10"}.get(pair[0], pair[0].removeprefix("nbsp-k"))
        if pair[0] != "er-10":
            yield FINDINGS, f"| {name} | {ends} | {between(old.loc[pair])} | {between(both.loc[pair])} |"
    row = old.loc[("er-10", "replay-only")]
    yield FINDINGS, f"minus `replay-only` (one batch in ten) is {between(row)} on the old task"
    learned = [kept.new[f"replay-only-k{k}" if k != 10 else "replay-only"] for k in (2, 4, 10, 20)]
    assert learned == sorted(learned)
    assert both.outcome.isin(["open", "leaning"]).all()
    seen = old[~old.outcome.isin(["open", "leaning"])]
    assert seen.index.tolist() == [("mask-only", "fine-tuning")]


def of_the_choosers():
    """After one switch: which neurons, and how many (E7)."""
    old, both = compared("E7"), compared("E7", "asr")
    for pair in both.index:
        first = between(old.loc[pair]) if pair in old.index else "–"
        yield FINDINGS, f"| `{pair[1]}` | {first} | {between(both.loc[pair])} |"
    seen = old[~old.outcome.isin(["open", "leaning"])]
    assert seen.index.tolist() == [("nbsp", "select-dormant")] and both.outcome.isin(["open", "leaning"]).all()
    ends = table("retention/retention.csv")
    ends = ends[ends.seed.between(5, 9)].groupby("arm")[["old", "new"]].mean()
    time, ours = ends.loc["select-time"], ends.loc["nbsp"]
    yield FINDINGS, f"keep as much as those of `nbsp`, {said(time.old)} and {said(ours.old)} of the old task"
    yield FINDINGS, f"and {said(time.new)} against {said(ours.new)} of the new one is learned"


def of_the_switch():
    """After one switch: what starts anew at it (E6)."""
    old, both = compared("E6"), compared("E6", "asr")
    for pair in old.index:
        yield FINDINGS, f"| `{pair[0]}` | {between(old.loc[pair])} | {between(both.loc[pair])} |"
    assert not old.outcome.isin(["yes", "contrary"]).any() and not both.outcome.isin(["yes", "contrary"]).any()


def of_the_rivals():
    """Every arm of the main table that ran and is no part of NBSP, beside NBSP, the one that keeps most first."""
    rows = table("main_table/window/main_table.csv")
    rows = rows[(rows.k > 0) & ~rows.arm.isin(["mask-only", "replay-only", "nbsp-balanced"])]
    of = {metric: own.set_index("arm") for metric, own in rows.groupby("metric")}
    arms = of["relative retention"]["mean"].sort_values(ascending=False).index
    for arm in arms:
        kept, learned, asr, fm = (of[name].loc[arm] for name in ("relative retention", "plasticity", "ASR", "FM"))
        yield (
            FINDINGS,
            (f"| `{arm}` | {kept.k} | {between(kept)} | {between(learned)} | {between(asr)} | {between(fm)} |"),
        )
    assert list(arms[:5]) == ["cotasp", "clonex", "packnet", "clear", "er"]
    claims = table("claims/claims.csv", claim="C1")
    counts = claims[claims.seeds_compared > 0].outcome.value_counts()
    yield (
        FINDINGS,
        (
            f"Of {counts.sum()} comparisons of `nbsp` with the paper's rivals {counts['yes']} hold, "
            f"{counts['leaning']} lean{'s' if counts['leaning'] == 1 else ''} its way, "
            f"{counts['open']} are open, and {counts['no']} speaks against it: FM, "
            "against `cotasp`"
        ),
    )
    assert claims[claims.outcome == "no"][["than", "measure"]].to_numpy().tolist() == [["cotasp", "fm"]]
    means = lambda name, *arms: of[name].loc[list(arms), "mean"]
    row = lambda name, *arms: " and ".join(said(each) for each in means(name, *arms))
    yield FINDINGS, f"learn less than most, plasticity {row('plasticity', 'cotasp', 'packnet')}"
    old = ("clonex", "clear", "er")
    for name in ("relative retention", "plasticity", "ASR"):
        assert means(name, *old).min() > means(name, "nbsp").item()
    assert of["ASR"]["mean"].nlargest(3).index.isin(old).all()
    beside = table("main_table/window/against.csv").set_index(["measure", "than"])
    for measure in ("asr", "fm"):
        yield FINDINGS, ", ".join(f"{between(beside.loc[measure, arm])} (`{arm}`)" for arm in old)
    assert (beside.loc[[(measure, arm) for measure in ("asr", "fm") for arm in old], "mean"] < 0).all()
    fresh = ("crelu", "cbp", "pi", "ne", "redo", "upgd")
    assert means("relative retention", *fresh).max() < 0.15
    yield FINDINGS, f"plasticity {said(means('plasticity', *fresh).min())} to {said(means('plasticity', *fresh).max())}"
    every = table("main_table/window/main_table.csv", metric="relative retention").set_index("arm")["mean"]
    yield FINDINGS, f"it keeps {said(every['slow'])}, `mask-only` {said(every['mask-only'])}"


def of_both_modes():
    """Compiled and eager runs of one task, six seeds each, unpaired: they differ by rounding, which soon is another run."""
    ends = pd.read_csv(ROOT / "data/experiments/eager_and_compiled.csv").groupby("mode")
    compiled, eager = (ends.get_group(mode) for mode in ("compiled", "eager"))
    assert len(compiled) == len(eager) == 6
    mastered = [f"{group.steps_to_mastery.notna().sum()} of {len(group)}" for group in (compiled, eager)]
    yield SCALING, f"{mastered[0]} seeds mastered the task compiled and {mastered[1]} with plain calls"
    means, bounds = (
        [group.success.mean() for group in (compiled, eager)],
        stats.ttest_ind(compiled.success, eager.success, equal_var=False).confidence_interval(),
    )
    yield (
        SCALING,
        f"success at the end was {said(means[0])} and {said(means[1])}, a difference of {said(means[0] - means[1])} "
        f"[{said(bounds.low)}, {said(bounds.high)}]",
    )


def of_compute():
    """Hours of all runs, and minutes of one, from timing.json; and that no shipped seed diverged."""
    total = 0.0
    for sequence in sorted(path for path in (ROOT / "data/checkpoints").iterdir() if path.is_dir()):
        clocks = [json.loads(path.read_text()) for path in sequence.glob("*/timing.json")]
        seconds = [seed["seconds"] for clock in clocks for seed in clock.values() if seed["seconds"]]
        total += sum(seconds)
        hours, minutes = sum(seconds) / 3600, sum(seconds) / 60 / len(seconds)
        yield REPRODUCE, f"| {sequence.name} | {len(seconds)} | {hours:.1f} | {minutes:.0f} |"
    yield REPRODUCE, f"| all | | {total / 3600:.1f} | |"
    assert not any(json.loads(path.read_text())["diverged"] for path in (ROOT / "data").glob("*/*/*/run.json"))
    yield REPRODUCE, "No shipped seed diverged."


def of_the_code():
    lines = sum(len((ROOT / "nbsp_lib" / name).read_text().splitlines()) for name in READ)
    yield README, f"## Read the method: {lines} lines"


SOURCES = (
    of_one_switch,
    of_the_second_pair,
    of_the_tuning,
    of_the_cycle,
    of_causes,
    of_the_score,
    of_tasks_alone,
    of_the_parts_of_nbsp,
    of_the_ends,
    of_what_is_frozen,
    of_every_dose,
    of_the_choosers,
    of_the_switch,
    of_the_rivals,
    of_both_modes,
    of_compute,
    of_the_code,
)
SENTENCES = [sentence for source in SOURCES for sentence in source()]


@pytest.mark.parametrize(("document", "sentence"), SENTENCES, ids=range(len(SENTENCES)))
def test_a_sentence_says_what_its_table_says(document, sentence):
    text = " ".join((ROOT / document).read_text(encoding="utf-8").split())
    assert " ".join(sentence.split()) in text, f"{document} should say: {sentence}"
