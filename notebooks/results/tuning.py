# %% [markdown]
# # Which setting does each method get?
#
# A rival with a setting that does not suit the task is no rival. So every method with a setting of degree, NBSP included, was given the same small
# budget: four values of its one decisive setting (named on its card, [methods](../docs/methods.md)), five seeds that no report uses, first on
# `cartpole`; the best two of them then on `window-once`; the best there is chosen. The rule, ties included, was written before the first run:
# `data/verdict_rules.md`, "Tuned settings (E8)".
#
# The measure is $\mathrm{ASR} - \max(\mathrm{FM}, 0)$, the mean over seeds: ASR alone would choose by the task that was trained last, FM alone what
# learns nothing. A seed that diverged counts −1. The runs themselves do not ship, their numbers do (`data/tuning.csv`). This page trains nothing; seconds.

# %% tags=["parameters"]
table_file = "data/tuning.csv"  # a row for every run that was planned
params_file = "profiles/tuning/params.yaml"  # the profile that planned them
out = "runs/smoke/tuning"  # folder for the tables and the figure

# %% [markdown]
# ## What was chosen
#
# *went on*: the two values that the first stage sent to the second, the better first. Means within 0.02 of the best are ties and go to the
# default, or to the value nearest to it. *open*: a run of the method is still missing.

# %%
from IPython.display import Image, Markdown

from nbsp_lib.results import tried_values
from nbsp_lib.results.output import markdown, save_figure, write_csv
from nbsp_lib.results.tuning import ENDED
from nbsp_lib.runs.files import enter_repository, read_csv
from nbsp_lib.runs.settings import load_profile

enter_repository()
rows = read_csv(table_file)
stages = load_profile(params_file).grid.sequences
table = tried_values.value_table(rows)
choices = tried_values.choice_table(table, stages)
write_csv(table, f"{out}/values.csv")
write_csv(choices, f"{out}/choices.csv")
as_text = lambda value: "open" if value != value else f"{value:g}"
shown = choices.assign(default=choices.default.map(as_text), chosen=choices.chosen.map(as_text))
ended = [
    f"{sequence}: {own.status.isin(ENDED).sum()} of {len(own)} runs"
    for sequence, own in rows.groupby("sequence", sort=False)
]
Markdown(markdown(shown.replace({"went on": {"": "open"}}), [f"ended, {', '.join(ended)}"]))

# %% [markdown]
# ## The picture
#
# Where the points of all four values lie in one band, the setting does not matter here and the default stays. Where they rise towards one edge, the best value
# may lie outside of what was tried.

# %%
title = f"What each value of each method's setting gives\nprofile tuning, seeds {rows.seed.min()} to {rows.seed.max()}"
Image(save_figure(tried_values.values_figure(rows, table, choices, stages, title), out, "tuning"))

# %% [markdown]
# ## Every value
#
# Mean of the measure with its 95 % interval (Student's), n runs that have ended, and the place among the values of the method.

# %%
ran = table[table.n > 0]
cells = {
    "measure": [f"{row['mean']:.2f} [{row.low:.2f}, {row.high:.2f}]" for _, row in ran.iterrows()],
    "place": [as_text(float(place)) for place in ran["rank"].astype(float)],
}
first = ran[["sequence", "method", "setting", "value", "n", "diverged"]].assign(value=ran.value.map(as_text))
Markdown(markdown(first.assign(**cells)))

# %% [markdown]
# ## Conclusion
#
# Computed from the table.

# %%
Markdown(tried_values.sentence(choices))
