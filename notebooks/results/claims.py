# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     notebook_metadata_filter: kernelspec,jupytext
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which claims of the paper do our runs support?
#
# Seven claims, C1 to C7, each with a verdict: reproduced, partly, not, or not run. The rules were written before there was
# any result and are in `data/verdict_rules.md`; the code that applies them is `nbsp_lib/results/claims.py`. This notebook reads
# recorded results, trains nothing and takes a few seconds on a CPU.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are compared
out = "runs/smoke/tables"  # folder for claims.csv and claims.md
paper = "data/paper_numbers.csv"  # numbers of the paper; header only until somebody who has it fills them in

# %%
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.results import claims, ledger, tables
from nbsp_lib.results import study as results
from nbsp_lib.runs.files import enter_repository
from nbsp_lib.runs.settings import load_profile

enter_repository()
profile = load_profile(params_file)
written = ledger.read_paper(paper, ("params.yaml", params_file))
cycles = [name for name in profile.grid.sequences if len(tasks_of(name)) > 1]
studies = [results.read_study(profile, name) for name in cycles]
trained = results.trained_profile([run for study in studies for run in study.results.values()])
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
# A claim is a list of comparisons: this arm has more ASR, or less FM, than that one. Seeds are paired: two arms of one
# seed start from the same weights and goals, and those that only begin to differ at the first task end share their first
# position if the same library trained them on the same kind of machine (column `first` above). `mean` is the average paired
# difference, positive where it agrees with the claim, with a 95 % bootstrap interval from `low` to `high`. Fewer than five
# seeds cannot carry more than an indication, whatever the interval says.
#
# The outcome of a comparison is *yes* (large enough, interval above zero), *leaning* (large enough, interval not), *no*,
# *contrary* (the opposite is established), *void* (the other arm forgets little because it learned little), or *missing*
# (no shared seeds, or a sequence whose first task was not learned).

# %%
lines, comparisons = claims.ledger(numbers, speeds, scores)
run = comparisons[comparisons.outcome != "missing"]
run.dropna(axis="columns", how="all").round(3)

# %% [markdown]
# ## From comparisons to verdicts
#
# A claim is reproduced only if every comparison says yes, on enough seeds and sequences. `holding` of `compared`
# comparisons are yes or leaning; `missing` ones were not run. A claim with most of its comparisons missing is called not
# run rather than judged by the rest.

# %%
Markdown(results.markdown(lines))

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
both

# %% [markdown]
# ## What was kept
#
# `claims.csv` holds every comparison with the verdict of its claim; `claims.md` is the ledger for readers, with what is missing below it.

# %%
results.write_csv(lines.merge(comparisons, on="claim", how="left", suffixes=("", "_paired")), Path(out, "claims.csv"))
notes = [f"{study.sequence}: {note}" for study in studies for note in results.footnotes(study)]
text = ledger.page(lines, comparisons, both, notes + [ledger.UNTIMED] * (not timed), trained)
Path(out, "claims.md").write_text(text, encoding="utf-8")
Markdown(text)

# %% [markdown]
# ## Conclusion
#
# Read a verdict together with its seeds and its missing comparisons: "not run" says nothing about the paper, and
# "indicative" says little. Where a claim only partly holds, the table of comparisons shows which part. The rules are
# fixed; more seeds and more arms change the verdicts.
