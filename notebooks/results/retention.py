# %% [markdown]
# # How fast does the old task go?
#
# One switch instead of a cycle: one task is learned to mastery (window-open), then another for 64,000 steps in every run (window-close), and the old
# task is measured all the way (`profiles/retention`). In a cycle every revisit repairs what was lost; here nothing does. Four arms
# take NBSP apart: mask and replay (`nbsp`), replay alone, mask alone, neither (`fine-tuning`). The others ask one question each, see
# [One switch, question by question](switch_questions.ipynb).
#
# These are runs of a larger plan; which arms and seeds are here, and what trained them, is said below. What is not here has not been trained or not
# been finished; nothing was left out for what it showed. This notebook trains nothing and reads the records; seconds on a CPU.

# %% tags=["parameters"]
folder = "data/retention/window-once"  # result folders of the arms
params_file = "profiles/retention/params.yaml"  # profile that they were trained under: says what was planned
arms = ""  # arms that were planned of this pair; none: all that the profile trains
out = "runs/smoke/retention"  # folder for the figure and the tables

# %% [markdown]
# ## Where they come from

# %%
from IPython.display import Image, Markdown

from nbsp_lib.results import questions, retention, switch_questions
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.study import trained_profile
from nbsp_lib.runs.files import enter_repository
from nbsp_lib.runs.settings import load_profile

enter_repository()
planned = arms.split() or load_profile(params_file).grid.train
read = retention.read(folder, planned)
old, new = next(iter(read.values())).run["config"]["tasks"]
profile = trained_profile(read.values())
rows = retention.seed_rows(read)
write_csv(rows, f"{out}/retention.csv")
hardware, torch = retention.where_trained(read)
finished = {arm: set(retention.done(result)) for arm, result in read.items()}
started = sorted(set.union(*finished.values()))
alike = [seed for seed in started if retention.same_start(read, seed, [arm for arm in read if seed in finished[arm]])]
Markdown(
    f"Profile {profile}; hardware: {', '.join(hardware)}; torch {', '.join(torch)}. "
    f"{len(read)} of {len(planned)} planned arms are here: {', '.join(f'{arm} ({len(finished[arm])} seeds)' for arm in read)}. "
    f"In {len(alike)} of {len(started)} seeds all arms that finished the seed enter position 2 with the same network, byte for byte, and the same "
    "curves before it: up to the switch they are one training, so a difference of two arms of such a seed is made after it.\n\n"
    f"Not trained, or not finished: {', '.join(arm for arm in planned if arm not in read) or 'none'}."
)

# %% [markdown]
# ## What is left at the end
#
# $R[2, \tau]$ is the success (at any step of an episode) in the last three evaluations of position 2 together, 50 episodes
# of its last quarter. *through position 2* is the success
# on the old task averaged over all steps since the switch: it sees when the task went, not only whether. *steps to mastery* are those of
# position 1. Behind a mean stand the lowest and the highest seed. The new task belongs beside the old: an arm that
# learns nothing new forgets little. ASR is the mean of both tasks.

# %%
table = retention.arm_table(rows)
span = lambda name: [
    f"{row[name]:.2f} ({row[f'{name}_least']:.2f} to {row[f'{name}_most']:.2f})" for _, row in table.iterrows()
]
shown = table[["arm", "n"]].assign(
    **{
        "steps to mastery": [f"{row.steps:,.0f} ({row.mastered} of {row.n})" for row in table.itertuples()],
        f"R[2, {old}]": span("old"),
        f"{old} through position 2": span("old_through"),
        f"R[2, {new}]": span("new"),
        "ASR": span("asr"),
    }
)
Markdown(markdown(shown))

# %% [markdown]
# ## Seed by seed

# %%
each = rows.drop(columns="network").rename(
    columns={
        "first": f"R[1, {old}]",
        "old": f"R[2, {old}]",
        "old_through": "through position 2",
        "new": f"R[2, {new}]",
        "asr": "ASR",
        "steps_to_mastery": "steps to mastery",
    }
)
Markdown(markdown(each.astype({"steps to mastery": str})))

# %% [markdown]
# ## Differences, paired by seed
#
# $d_s$ is the measure of the first arm less that of the second, in one seed $s$, where both arms enter position 2 alike in every seed; otherwise
# the arms are two samples, the interval is Welch's and there is no $p$. The interval is Student's, $\bar d \pm t_{n-1} \, s_d / \sqrt n$ at 95 %, which is wide
# for few seeds as it should be (a bootstrap of five is too narrow); it takes the differences for normal, which success
# rates are not quite. $p$ is exact and needs no normality: the share of all $2^n$ choices of the signs of the $d_s$ whose mean is at least as far from 0. With n pairs
# it cannot be below $2/2^n$: with five not below 1/16, so five pairs cannot be significant at 0.05 by it. Nothing is corrected for the number of comparisons.

# %%
pairs = retention.pair_table(rows, read)
write_csv(pairs, f"{out}/retention_pairs.csv")
names = {"old": f"R[2, {old}]", "old_through": f"{old} through position 2", "new": f"R[2, {new}]", "asr": "ASR"}
wide = pairs.assign(
    measure=pairs.measure.map(names),
    mean=[f"{row.mean:+.3f}" for row in pairs.itertuples()],
    interval=[f"[{row.low:+.3f}, {row.high:+.3f}]" for row in pairs.itertuples()],
    p=[f"{row.p:.4f}" for row in pairs.itertuples()],
)
Markdown(markdown(wide[["arm", "against", "measure", "n", "more", "fewer", "mean", "interval", "p"]]))

# %% [markdown]
# ## What it says beside the claims
#
# The rules of 2026-11-27 (`data/verdict_rules.md`) asked these questions before the runs were trained. d is that of $R[2, \mathrm{old}]$ or of ASR, positive where
# the first arm is better, with its 95 % interval. *yes*: at least 0.05 and the interval above 0; *leaning*: at least 0.05 only; *no*: an advantage of 0.05 is excluded;
# *open*: neither; *contrary*: the opposite, on five seeds and at a level that the comparisons of a question share; *void*: the other arm
# did not learn the new task. ≠: unequal doses of replay, so d is not about the mask. Of the pair window four arms had been looked at on seeds 0–4 before
# the rules were written: those comparisons stand twice, the second time without these seeds.

# %%
if arms:  # of another pair only E1 was asked, and none of its seeds had been looked at
    answers = questions.question_table(rows, read, questions.QUESTIONS[:1], known=())
else:
    answers = questions.question_table(rows, read)
write_csv(answers, f"{out}/retention_questions.csv")
told = answers.assign(
    measure=answers.measure.map(names),
    d=[f"{row['mean']:+.3f} [{row.low:+.3f}, {row.high:+.3f}]" for _, row in answers.iterrows()],
)
Markdown(markdown(told.drop(columns=["mean", "low", "high"])))

# %% [markdown]
# ## The picture
#
# The arms that take NBSP apart (E1): above the old task, below the new one, from the switch on. An evaluation, every 8,000 steps, plays 16 or 17
# episodes, so a single seed's line is rough.

# %%
first = [arm for arm in switch_questions.groups()[0].arms if arm in planned]
apart = {arm: result for arm, result in read.items() if arm in first}
figure = retention.curves_figure(
    apart, f"After one switch: {old}, then {new}\nprofile {profile}, {len(apart)} of {len(first)} planned arms"
)
Image(save_figure(figure, out, "retention"))

# %% [markdown]
# ## Conclusion
#
# Computed from the table.

# %%
words = {
    "old": f"success on {old} at the end",
    "old_through": f"success on {old} through position 2",
    "new": f"success on {new} at the end",
    "asr": "success on both at the end (ASR)",
}
Markdown("\n".join(f"- {retention.sentence(row, words[row.measure])}" for _, row in pairs.iterrows()))
