# %% [markdown]
# # What did we find?
#
# The results of this artifact, from the files that are shipped with it, and how to read them without fooling oneself: what an
# interval over three seeds can say, what the ledger of claims says, what is missing. At the end you write a method of your
# own in a few lines and let the library check it.
#
# Nothing is trained; half a minute. All numbers below are computed from `data/checkpoints`, none is typed.

# %% tags=["parameters"]
sequence = "window"  # a sequence whose results are shipped: window, boxing-road-runner or cartpole
metric = "ASR"  # of the main table: ASR, FM, relative retention, plasticity, CW forward transfer, Chaudhry FM

# %% [markdown]
# ## Who is there?
#
# Before any number, count. An arm may have no run, a seed may have stopped early or diverged.

# %%
from nbsp_lib.results import tables
from nbsp_lib.results.notes import accounting
from nbsp_lib.results.study import open_study, read_study

study = open_study("params.yaml", sequence)
counted = accounting(study)
print(
    f"performance is: {study.unit}; {len(study.missing)} of {len(study.arms)} arms have no run yet: {', '.join(study.missing) or '-'}"
)
counted[counted.k > 0].drop(columns="unscored")

# %% [markdown]
# ## The table, and its intervals
#
# With R[i, τ] the performance on task τ after position i of K, over M distinct tasks, and f(τ) the first position that trained τ ([docs/protocol.md](../../docs/protocol.md),
# `nbsp_lib/results/metrics.py`):
#
# $$\mathrm{ASR} = \frac{1}{M} \sum_\tau R[K, \tau] \qquad
# \mathrm{FM} = \operatorname{mean}_{i,\ \tau \ne \tau_i,\ f(\tau) < i} \Big( \max_{f(\tau) \le l < i} R[l, \tau] - R[i, \tau] \Big)$$
#
# **Predict**: three seeds gave 0.2, 0.9 and 0.9. A bootstrap draws three of them with replacement, many times, and takes means.
# What is the probability that all three draws are the first seed, and what does that say about the lower end of the interval?

# %%
values = tables.per_seed(study)
table = tables.main_table(study, values, study.profile.analysis.repeats)
present = tables.wide(table)[lambda frame: frame["seeds"].str[0] != "0"]
present

# %% [markdown]
# <details><summary>Answer</summary>
#
# 1/27, about 3.7 %. With three seeds there are only ten different samples, so a 95 % interval reaches nearly from the worst to
# the best seed, and no further: it shows the seeds at hand and cannot know of others. So the table has Student's t below 20 seeds,
# which is much wider, and a star below five.
# </details>
#
# **Your turn**: the mean of the best arm, computed from its seeds. The line below takes the median, which is another question.

# %%
from nbsp_lib.teaching.answers import check

here = values[values.metric == metric].dropna(subset="value")
means = here.groupby("arm").value.mean()
best = means.idxmin() if "FM" in metric else means.idxmax()
answer = here[here.arm == best].value.median()
check(answer, means[best], "A table of means says so in its heading.", name=f"{metric} of {best}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# `answer = here[here.arm == best].value.mean()`. `tests/results/test_metrics.py` has the metrics by hand.
# </details>
#
# ## Look at the points
#
# Hollow points are seeds, ticks are means. With three seeds a mean may rest on one of them, and here one can see whether.

# %%
from nbsp_lib.results import figures
from nbsp_lib.teaching import draw

arms = [arm for arm in study.arms if arm in study.results]
figure = figures.metric_points(
    values,
    table[table.arm.isin(arms) & table.metric.isin(tables.PICTURE)].reset_index(drop=True),
    arms,
    study.title("What every arm knows, loses and learns"),
    study.unit,
)
draw.show(figure)

# %% [markdown]
# *Alt text: a panel for each metric of the table; in each, a row an arm with one hollow point a seed and a tick at the mean.*
#
# ## The claims, one by one
#
# The paper claims more than a ranking. Each claim is a list of comparisons with a dated rule that was written down before the runs it
# judges ([data/verdict_rules.md](../../data/verdict_rules.md)); here are the verdicts of the later one. *indicative* means: too few seeds
# to say more.

# %%
import pandas as pd

from nbsp_lib.envs.sequences import tasks_of
from nbsp_lib.results import evidence, ledger, verdicts

studies = [read_study(study.profile, name) for name in study.profile.grid.sequences if len(tasks_of(name)) > 1]
lines, comparisons = verdicts.ledger(evidence.gather(studies), evidence.benchmarked(), ledger.gather(studies)[2])
pd.set_option("display.max_colwidth", None)
lines

# %% [markdown]
# Where NBSP does not win, the ledger says so: outcomes *no* and *contrary* are as much a result as *yes*; *open* means that these
# seeds cannot tell.

# %%
run = comparisons[~comparisons.outcome.isin(["missing", "void"])]
run[["claim", "measure", "better", "than", "sequences", "seeds", "mean", "low", "high", "outcome"]].round(3)

# %% [markdown]
# ## A method of your own
#
# A method is a class that overrides hooks ([docs/your-method.md](../../docs/your-method.md)). This one lets every weight move
# half as far after the first task end. State is a tensor with one entry a seed, allocated once, changed in place.

# %%
import torch

from nbsp_lib.core.method import Method


class Calmer(Method):
    def start(self, agent, settings):
        self.state["rate"] = torch.ones(len(agent.updates), 1, 1, 1)

    def after_task(self, agent, task, world):
        self.state["rate"].fill_(0.5)

    def shape_step(self, net, steps, noise):
        return {k: self.state["rate"] * step for k, step in steps.items()}


# %% [markdown]
# The library holds it to what it holds every method to: seeds are independent to the last bit, a run resumes exactly, one graph
# serves all tasks, nothing differs from plain SAC before the first task end. From the shell: `nbsp check-method my_method.py:Calmer`.

# %%
from nbsp_lib.methods.check import check_method

passed = check_method(Calmer)

# %% [markdown]
# ## Exercises
#
# 1. Break it: return `0.5 * step` from `shape_step` at once, without state. Which check fails, and why is that a problem?
# <details><summary>Answer</summary>"plain SAC until its first task end": position 1 is trained once for all arms that say so. Either
# begin neutral, or set `forkable = False`.</details>
#
# 2. Change `sequence` and `metric` above. Does the best arm stay the best?
# <details><summary>Answer</summary>Look for yourself; and then count the seeds behind it.</details>
#
# ## Conclusion
#
# Count first, look at the points second, read means last. With three seeds an interval describes the seeds at hand and the
# honest verdict is "indicative". What is missing is named in every table, and a method of your own is one class away.
