# %% [markdown]
# # Would we choose the same neurons again?
#
# If the chosen neurons carry a skill, the choice should not depend on which episodes happened to be looked at. This notebook
# measures how far two choices agree: from two halves of one rollout, at two visits of one task, on two tasks, and in two seeds.
# It also asks what the thresholds do: the paper takes the means ā and q̄ from the same rollout that it scores. Seconds on a CPU.
#
# Agreement is the Jaccard overlap, |A ∩ B| / |A ∪ B|. Two random sets overlap too, so each comparison stands beside the
# exact expectation for independent random sets of the same sizes.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
neurons = "runs/smoke/neurons/window.csv.gz"  # file of the pipeline notebook on neurons
out = "runs/smoke/overlap/window"  # folder for the figures and the tables

# %% [markdown]
# ## Two choices compared
#
# Halves: the first half of the goals against the second, with the same network. Tasks and visits: the same seed at two positions.
# Seeds: the same position of two seeds. Seeds start from different random weights, so neuron 7 of one seed has nothing to
# do with neuron 7 of another: this line is a control and should sit at chance. One that does not would point to a bias of the ranking, such as ties broken by index (silent neurons all score the base rate) or a layer that is always preferred.

# %%
from IPython.display import Image, Markdown

from nbsp_lib.results import neuron_figures, neuron_tables
from nbsp_lib.results.output import save_figure, write_csv
from nbsp_lib.results.study import open_study
from nbsp_lib.runs.files import read_csv

study = open_study(params_file, sequence)
rows = read_csv(neurons)
pairs = neuron_tables.overlap_rows(rows)
write_csv(pairs, f"{out}/overlap.csv")
pairs.groupby(["comparison", "network"], sort=False)[["jaccard", "expected"]].agg(["mean", "count"]).round(3)

# %% [markdown]
# ## The picture
#
# A point is one pair of networks, all arms together; the dark tick is their mean, the red tick the expectation for random sets.

# %%
figure = neuron_figures.overlap(pairs, study.title("How far two choices of neurons agree"))
Image(save_figure(figure, out, "overlap"))

# %% [markdown]
# ## Thresholds from other episodes
#
# The score of Eq. 3 compares with means over the rollout that is scored. Here ā and q̄ come from the first half of the
# episodes and the score is measured on the second half, beside the usual score of that second half. A rank correlation near one says that
# where the thresholds come from does not matter; the overlap says the same of the choice itself.

# %%
table = neuron_tables.held_out_rows(rows)
write_csv(table, f"{out}/held_out.csv")
table.groupby(["arm", "network"], sort=False)[["rank_correlation", "jaccard", "expected"]].mean().round(3)

# %% [markdown]
# Each point below is one neuron: right means a high score with its own thresholds, up means a high score with borrowed ones.

# %%
both = rows.dropna(subset=["score_second", "score_held_out"])
points = both.rename(columns={"score_second": "in_sample", "score_held_out": "held_out"})[:: max(1, len(both) // 6000)]
figure = neuron_figures.held_out(points, table, study.title("Scores with own and with borrowed thresholds"))
Image(save_figure(figure, out, "held_out"))

# %% [markdown]
# ## Conclusion
#
# Computed from the two tables: mean overlap and mean expectation of each comparison, and the held-out agreement.

# %%
means = pairs.groupby("comparison", sort=False)[["jaccard", "expected"]].mean()
lines = [f"- {name}: overlap {row.jaccard:.2f}, random sets {row.expected:.2f}." for name, row in means.iterrows()]
lines += (
    [
        f"- thresholds from other episodes: rank correlation {table.rank_correlation.mean():.2f}, overlap of the choice "
        f"{table.jaccard.mean():.2f} ({len(table)} networks)."
    ]
    if len(table)
    else []
)
Markdown("\n".join(lines) or "No network could be scored.")
