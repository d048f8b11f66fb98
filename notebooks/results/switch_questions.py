# %% [markdown]
# # What does each question to one switch find?
#
# The questions E1 to E7 of `data/verdict_rules.md` (2026-11-27) were written before the runs that answer them. Each compares a few arms after one
# switch of `profiles/retention`: the first task is learned to mastery, then the second for a fixed number of steps in every arm. Two numbers a
# seed answer: success on the old task at the end, $R[2, \mathrm{old}]$, and on the new one, $R[2, \mathrm{new}]$, without which the first says nothing: who learns
# nothing forgets nothing.
#
# An arm stands in every question that asks about it. Differences of arms, with their intervals and outcomes by the rules, are on the page
# [After one switch](retention.ipynb); E3 has points and no outcome. These runs support the verdicts of whole cycles and change none.

# %% tags=["parameters"]
folder = "data/retention/window-once"  # result folders of the arms
params_file = "profiles/retention/params.yaml"  # profile that they were trained under: says what was planned
out = "runs/smoke/switch_questions"  # folder for the figures and the table

# %% [markdown]
# ## The table

# %%
import pandas as pd
from IPython.display import Image, Markdown, display

from nbsp_lib.results import retention, switch_questions
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.study import trained_profile
from nbsp_lib.runs.files import enter_repository
from nbsp_lib.runs.settings import load_profile

enter_repository()
read = retention.read(folder, load_profile(params_file).grid.train)
old, new = next(iter(read.values())).run["config"]["tasks"]
profile = trained_profile(read.values())
rows = retention.seed_rows(read)
groups = switch_questions.groups()
tables = {group.name: switch_questions.arm_table(rows, group) for group in groups}
whole = pd.concat(tables.values(), ignore_index=True)
write_csv(whole, f"{out}/switch_questions.csv")
there = whole[whole.n > 0]
shown = there[["question", "arm", "n"]].assign(
    **{
        f"R[2, {task}]": [switch_questions.cell(line, measure) for _, line in there.iterrows()]
        for measure, task in (("old", old), ("new", new))
    }
)
missing = {
    group.name: [arm for arm, n in zip(tables[group.name].arm, tables[group.name].n) if not n] for group in groups
}
notes = [
    f"{group.name}: {group.about}" + (f" (not run: {', '.join(missing[group.name])})" if missing[group.name] else "")
    for group in groups
]
Markdown(markdown(shown, notes))

# %% [markdown]
# ## A picture for each question

# %%
for group in groups:
    seeds = sorted({*whole[(whole.question == group.name) & (whole.n > 0)].n})
    counted = f"n = {'-'.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} seeds" if seeds else "no runs"
    title = f"{group.name}: {group.about}\nprofile {profile}, {counted}"
    display(
        Image(
            save_figure(
                switch_questions.arms_figure(rows, tables[group.name], (old, new), title), out, f"switch_{group.name}"
            )
        )
    )

# %% [markdown]
# ## Conclusion
#
# Computed from the table: what has run, and where the old task is kept most and least.

# %%
Markdown("\n".join(f"- {switch_questions.sentence(group, tables[group.name])}" for group in groups))
