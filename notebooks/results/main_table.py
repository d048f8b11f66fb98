# %% [markdown]
# # Which arm keeps what it learned, and still learns?
#
# This notebook makes the main table of one sequence from the recorded results of training. It trains nothing and rolls
# nothing out; it takes a few seconds on a CPU.
#
# Four questions are asked of every arm. How much does it know at the end (**ASR**, average success rate over the distinct
# tasks)? How much did it lose on the way (**FM**, forgetting; lower is better, below zero means it improved)? How well did
# it learn each task while that task was trained (**plasticity**)? Did earlier tasks help later ones (**CW forward
# transfer**, as in Continual World, on first visits; beside it that of the second task alone, since at the first position
# nothing can have been transferred)? Forgetting never stands without plasticity: what was never learned
# cannot be forgotten. **Relative retention** asks the same without that trap: which share of its best earlier success on a
# task is still there, counted only where that best was at least 0.5. **Chaudhry FM** looks at the end of the sequence only.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
out = "runs/smoke/main_table/window"  # folder for the tables and the figure

# %% [markdown]
# ## What there is
#
# Reading is strict: each file is compared with its checksum, and runs trained under two different profiles are refused.
# The accounting below shows every arm the profile asks for. An arm without a run stays in the table as missing, and a seed
# that stopped early or diverged is counted and named.

# %%
from pathlib import Path

from IPython.display import Image, Markdown, display

from nbsp_lib.envs.performance import SUCCESS
from nbsp_lib.results import balance, collapse, evidence, figures, ledger, positions, tables, verdicts
from nbsp_lib.results.notes import accounting, footnotes
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.study import common_positions, open_study, read_study, recorded

study = open_study(params_file, sequence)
if study.unit != SUCCESS:
    print(f"performance, wherever this page says success: {study.unit}")
Markdown(markdown(accounting(study)))

# %% [markdown]
# ## The table
#
# With R[i, τ] the success on task τ after position i of K, from the last three evaluations of that position together, and
# f(τ) the position that trained τ first:
#
# $$\mathrm{ASR} = \frac{1}{M} \sum_\tau R[K, \tau] \qquad
# \mathrm{FM} = \operatorname{mean}_{i,\ \tau \ne \tau_i,\ f(\tau) < i} \Big( \max_{f(\tau) \le l < i} R[l, \tau] - R[i, \tau] \Big) \qquad
# \mathrm{plasticity} = \frac{1}{K} \sum_i R[i, \tau_i]$$
#
# A cell says *mean / interquartile mean [95 % interval of the mean]*, without the interquartile mean below four seeds, where it
# is the mean. The interval is Student's below 20 seeds, which is wide for few of them as it should be, and a bootstrap of whole seeds
# from 20 on; it is cut to the range that the number can have. That of forward transfer also holds the seeds of the runs alone
# that it is compared with. A star marks it as indicative: below five seeds it rests on the numbers being nearly normal, which rates
# are not. Seeds that did not finish enter no mean; "seeds" says how many did. *pairs*: relative retention is over so many of
# the pairs (i, τ) of FM.


# %%
def table_of(column, name, positions=None, study=study):
    values = tables.per_seed(study, column, positions)
    table = tables.main_table(study, values, study.profile.analysis.repeats, column)
    write_csv(values, f"{out}/{name}_seeds.csv")
    write_csv(table, f"{out}/{name}.csv")
    text = markdown(tables.wide(table), [f"trained under profile {study.trained}", *footnotes(study)])
    Path(f"{out}/{name}.md").write_text(text, encoding="utf-8")
    return values, table, text


values, table, text = table_of("success", "main_table")
Markdown(text)

# %% [markdown]
# ## How long did it take?
#
# Where a position ends as soon as its task is mastered (`train.mastery` of the profile), the steps until then say how well an
# arm still learns. A cell says *median steps to mastery (k of n mastered), success on the task after the position*: n seeds
# finished the position, k of them mastered the task within the budget. A seed that did not comes after all that did in the
# median; *> x* means that the median seed did not, and took at least x. Read it with FM: an arm that hardly learns the
# second task forgets little of the first.

# %%
if positions.stops(study):
    mastery = positions.mastery_table(study)
    write_csv(mastery, f"{out}/mastery.csv")
    mastery_text = markdown(positions.mastery_wide(mastery), [f"trained under profile {study.trained}"])
    Path(f"{out}/mastery.md").write_text(mastery_text, encoding="utf-8")
else:
    mastery_text = (
        "Every position of these runs has a fixed number of steps, mastered or not, so there is nothing to show here."
    )
Markdown(mastery_text)

# %% [markdown]
# ## The same with success at the last step
#
# Above, an episode counts as a success if the goal was reached at any of its steps, as in Continual World. An agent that
# reaches the goal and leaves it again counts as well. The stricter reading asks for success at the last step of the
# episode. Where the two tables rank the arms differently, the difference between the arms is in how they hold the goal.
# (Of Atari games, whose performance is the return of the whole game, both tables are the same.)

# %%
_, last_table, last_text = table_of("success_last", "main_table_last_step")
Markdown(last_text)

# %% [markdown]
# ## The same over the positions that every arm has finished
#
# A sequence may be cut short: a run that was stopped after two of four positions can be shown, and continued later. Then
# the table above has gaps. This one takes only as many positions as at least one seed of every arm present has finished,
# which makes the arms comparable. If all arms are complete, it would repeat the first table, which then is not shown again.

# %%
common = common_positions(study)
common_values, common_table, common_text = table_of("success", "main_table_common", max(common, 1))
Markdown(
    f"Positions used: {common} of {len(study.tasks)}.\n\n"
    + (common_text if common < len(study.tasks) else "Every arm present has finished them all: see the first table.")
)

# %% [markdown]
# ## Arms that the profile does not ask for
#
# Variants of NBSP and other arms that were trained to compare with one arm only: parts left out, other shares, other ways to choose
# neurons. NBSP stands first. The columns are those of the first table.

# %%
others = [arm for arm in recorded(study) if arm not in study.arms]
if others:
    others_text = table_of("success", "other_arms", study=read_study(study.profile, sequence, ["nbsp", *others]))[2]
else:
    others_text = "Every arm that was trained on this sequence stands in the first table."
Markdown(others_text)

# %% [markdown]
# ## NBSP against every arm
#
# d is the difference of `nbsp` and the arm, positive where `nbsp` has more ASR or less FM, the arm with the highest ASR first. Pairs, intervals
# and outcomes are those of the ledger of claims, whose comparisons are the first that were planned; for the others, among them rivals that
# the paper did not compare with, no verdict follows. *contrary*: the arm is better, at a level that all rows of the table share. Doses of old
# rows differ. On a sequence that is judged by its share of collapsed seeds, or has a task that no arm learns, there is no such table.

# %%
against = verdicts.against(
    evidence.gather([read_study(study.profile, sequence, recorded(study))] if not collapse.asked(study) else []), "nbsp"
)
if len(against):
    write_csv(against, f"{out}/against.csv")
Markdown(markdown(ledger.against_wide(against)) if len(against) else "No comparison of this sequence counts.")

# %%
if collapse.asked(study):
    fallen = collapse.collapse_rows(study)
    collapsed = collapse.collapse_table(fallen, study.arms)
    write_csv(fallen, f"{out}/collapse_seeds.csv")
    write_csv(collapsed, f"{out}/collapse.csv")
    collapse_text = markdown(collapse.collapse_wide(collapsed), [f"trained under profile {study.trained}"])
    Path(f"{out}/collapse.md").write_text(collapse_text, encoding="utf-8")
    display(Markdown(collapse.HEADING + collapse_text))

# %% [markdown]
# ## The picture
#
# Each hollow point is one seed, the tick is the mean over seeds, and the line is the interval of the table, dotted where it
# is indicative. Transfer of the second task and Chaudhry's FM are in the table only. Look at the points before the ticks: with three seeds a mean can rest on one of them. While runs are
# cut short, it shows the positions that every arm present has finished, and its title says how many.

# %%
text = f"What every arm knows, loses and learns in {max(common, 1)} of {len(study.tasks)} positions"
figure = figures.metric_points(
    common_values, common_table[common_table.metric.isin(tables.PICTURE)], study.arms, study.title(text), study.unit
)
Image(save_figure(figure, out, "main_table"))

# %% [markdown]
# ## Kept, learned, how fast
#
# The figure of README: relative retention, plasticity, and the steps that an arm takes to master a task after the first switch, a mean
# over positions 2 to K. A position in which a task is not mastered counts its whole budget; such a seed is a filled point, and its
# number a lower bound. The arm that keeps most stands above. The first two panels end at 1.1, longer intervals leave them.

# %%
if positions.stops(study):
    steps = balance.seed_steps(study)
    steps_means = balance.steps_table(steps)
    write_csv(steps, f"{out}/steps_seeds.csv")
    write_csv(steps_means, f"{out}/steps.csv")
    title = study.title("What every arm keeps, what it learns, and how fast")
    figure = balance.balance_figure(values, table, steps, steps_means, study.arms, title)
    shown = Image(save_figure(figure, out, "balance"))
else:
    shown = Markdown("Every position of these runs has a fixed number of steps, so there is nothing to show here.")
shown

# %% [markdown]
# ## Conclusion
#
# Computed from the same table as the picture. It names the arms with the highest ASR and the lowest FM on this sequence and the plasticity
# that goes with them, several if their means are equal to two digits; whether that reproduces a claim is decided by the dated rules of the ledger, not here.

# %%
means = common_table.pivot(index="arm", columns="metric", values="mean").dropna(subset=["ASR", "plasticity"])
sentences = [
    f"{len(means)} of {len(study.arms)} arms have at least one seed that finished {max(common, 1)} of {len(study.tasks)} positions."
]
if len(means):
    for name, values in (("Highest ASR", means.ASR), ("Lowest FM", -means.FM.dropna())):
        first = values[values >= values.max() - 0.005]
        listed = ", ".join(
            f"**{arm}** ({abs(v):.2f}, plasticity {means.plasticity[arm]:.2f})" for arm, v in first.items()
        )
        sentences.append(f"{name}: {listed or 'not defined here'}.")
    if positions.stops(study):
        late = mastery[(mastery.finished > 0) & (mastery.mastered < mastery.finished)]
        listed = ", ".join(
            f"{row.arm} {row.task} in position {row.position} ({row.mastered} of {row.finished})"
            for row in late.itertuples()
        )
        sentences.append(f"Not mastered by every seed: {listed or 'nothing'}.")
    sentences.append(f"Intervals are {'indicative' if common_table.indicative.any() else 'from at least five seeds'}.")
Markdown(" ".join(sentences))
