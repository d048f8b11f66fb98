# %% [markdown]
# # Which claims of the paper do our runs support?
#
# Seven claims, C1 to C7, each with a verdict: reproduced, partly, not, open, or not run. The rules are dated and in
# `data/verdict_rules.md`: those of 2026-11-23 were written before there was any result (`nbsp_lib/results/claims.py`), those of
# 2026-11-27 mend them and were written before any run of the larger campaign (`nbsp_lib/results/verdicts.py`). Both verdicts are
# shown. This notebook reads recorded results, trains nothing and takes a few seconds on a CPU.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are compared
out = "runs/smoke/tables"  # folder for claims.csv and claims.md
switch = "data/retention/window-once"  # runs of one switch, which stand beside the verdicts
tuning_file = "data/tuning.csv"  # what was tried of each method's setting, and its rank
plan_file = "profiles/retention/params.yaml"  # profile that they were trained under
paper = "data/paper_numbers.csv"  # numbers of the paper; header only, to be filled in by readers with the paper

# %%
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.results import claims, evidence, ledger, questions, retention, tables, tuned, tuning, verdicts
from nbsp_lib.results.notes import footnotes
from nbsp_lib.results.output import markdown, write_csv
from nbsp_lib.results.study import read_study, trained_profile
from nbsp_lib.runs.files import enter_repository, read_csv
from nbsp_lib.runs.settings import load_profile

enter_repository()
profile = load_profile(params_file)
written = ledger.read_paper(paper, ("params.yaml", params_file))
cycles = [name for name in profile.grid.sequences if len(tasks_of(name)) > 1]
chosen = tuning.chosen_arms(read_csv(tuning_file), load_profile(tuning.PROFILE).grid.sequences[-1])
arms = dict.fromkeys([*profile.grid.arms, *claims.COMPARED, *chosen.values()])
studies = [read_study(profile, name, arms) for name in cycles]
trained = trained_profile([run for study in studies for run in study.results.values()])
print(f"sequences {', '.join(cycles)}; runs trained under profile {trained}")

# %% [markdown]
# ## One number a seed
#
# A seed that finished a sequence gives three numbers. ASR is its success at the end, averaged over the tasks; FM says how
# much of its best earlier success on a task is lost later; plasticity is its success on each task just when that task was
# trained. FM means little without plasticity, because what was never learned cannot be forgotten. A seed that stopped
# early or diverged leaves a gap here, not a zero. Speeds, for C7, are taken from the shipped runs only: they are recorded,
# while a run made here is timed anew at every repetition.

# %%
timed = profile.profile == "shipped"
numbers, speeds, scores = ledger.gather(studies, timed)
numbers[numbers.whole].drop(columns=["positions", "whole"]).round(3)

# %% [markdown]
# ## From numbers to comparisons
#
# A claim is a list of comparisons: this arm has more ASR, or less FM, than that one. d is the difference, positive where it
# agrees with the claim. Two arms of one seed are a *pair* only if they left the first position bit for bit alike: arms that
# only begin to differ at the first task end do, if the same library trained them on the same kind of machine. Otherwise they are
# *two samples*. The interval is Student's t for pairs and Welch's for two samples, since a bootstrap of three seeds is no more
# than their range; from 20 seeds on it is a bootstrap. Where two arms get unequal doses of old rows, ≠ says so: then d tells
# nothing about masks.
#
# The outcome of a comparison is *yes* (large enough, interval above zero), *leaning* (large enough, interval not), *no* (an
# advantage of 0.05 is excluded), *open* (neither shown nor excluded), *contrary* (the opposite is established, on five seeds
# and at a level that the claim's comparisons share), *void* (the other arm forgets little because it learned little), or
# *missing* (no seeds, or a sequence with a task that neither arm learned where it was first trained).

# %%
gathered = evidence.gather(studies)
before = claims.ledger(numbers, speeds, scores)
now = verdicts.ledger(gathered, evidence.benchmarked(), scores)
lines, comparisons = ledger.side_by_side(before, now)
Markdown(markdown(ledger.told(comparisons)))

# %% [markdown]
# ## From comparisons to verdicts
#
# A claim is reproduced only if every comparison says yes, on enough seeds and sequences. `holding` of `compared`
# comparisons are yes or leaning; `missing` ones were not run. One comparison that is contrary answers a claim with *not*
# even before the others have run. Otherwise a claim with most of its comparisons missing is called not run rather than
# judged by the rest, and *open* means that the seeds are too few to say. C3 says two things, each with a verdict of its own:
# C3a, the mask is needed beside replay; C3b, replay is needed beside the mask.

# %%
Markdown(markdown(lines.rename(columns=ledger.TITLES)))

# %% [markdown]
# ## C1, tuned against tuned
#
# Above, every arm has its published or default setting. The tuning (`results/tuning/`) tries four values of the decisive setting of each
# method on seeds that appear nowhere else. Where it chose another value, the arm with that value was trained on the cycles too,
# under a name of its own, and stands here in the place of its method. A rival whose choice is open is named as such.

# %%
tuned_rows = tuned.tuned_rows(gathered, chosen)
tuned_text = tuned.told(tuned_rows)
Markdown(tuned_text)

# %% [markdown]
# ## Beside it: one switch
#
# Shorter runs, in which the old task is measured after a single switch (`results/retention/`). They answer sooner and with
# more seeds, but no task comes back, so they stand beside the verdicts and change none.

# %%
plan = load_profile(plan_file)
read = retention.read(switch, plan.grid.train)
supporting = questions.question_table(retention.seed_rows(read), read)
Markdown(markdown(ledger.switched(supporting)))

# %% [markdown]
# ## The paper's numbers beside ours
#
# The paper's tables were not at hand, so this part stays empty until `data/paper_numbers.csv` is filled. Under any profile
# but the paper's the training budget differs too: then the order of the arms can be compared, not the size of the numbers.

# %%
repeats = profile.analysis.repeats
ours = [tables.main_table(s, tables.per_seed(s), repeats).assign(sequence=s.sequence) for s in studies]
ours = pd.concat(ours, ignore_index=True).rename(columns={"mean": "ours", "k": "seeds"})
both = ledger.beside(written, ours[["sequence", "arm", "metric", "ours", "seeds"]])
Markdown(markdown(both) if len(both) else "No number of the paper has been entered.")

# %% [markdown]
# ## What was kept
#
# `tuned.csv` holds the comparisons of tuned arms, `claims.csv` every other with the verdict of its claim (`…_before`: by the rules of 2026-11-23); `claims.md` is the ledger for readers, with what is missing below it.

# %%
write_csv(lines.merge(comparisons, on="claim", how="left", suffixes=("", "_compared")), Path(out, "claims.csv"))
notes = [f"{study.sequence}: {note}" for study in studies for note in footnotes(study)]
write_csv(pd.DataFrame(tuned_rows), Path(out, "tuned.csv"))
text = ledger.page(lines, comparisons, tuned_text, supporting, both, notes + [ledger.UNTIMED] * (not timed), trained)
Path(out, "claims.md").write_text(text, encoding="utf-8")
Markdown(text)

# %% [markdown]
# ## Conclusion
#
# Read a verdict together with its seeds and its missing comparisons: "not run" says nothing about the paper, and
# "indicative" says little. Where a claim only partly holds, the table of comparisons shows which part. More seeds and more
# arms change the verdicts; where the two rules differ, `data/verdict_rules.md` says why the later ones were written.
