# %% [markdown]
# # Do a few neurons stand out, or do the best merely come first?
#
# NBSP protects the best-scored share of a network's neurons. That makes sense if these neurons stand apart from the rest. It does not
# if the scores form one lump and the choice cuts it somewhere. This notebook shows the scores, per network and layer, with
# the chosen neurons marked. It reads the file written by the pipeline notebook on neurons; seconds on a CPU.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
neurons = "runs/smoke/neurons/window.csv.gz"  # file of the pipeline notebook on neurons
out = "runs/smoke/score_distribution/window"  # folder for the figures and the table

# %% [markdown]
# ## What there is
#
# One row a neuron. Seeds and positions are pooled below: each score is first set against the base rate of its own rollout,
# max(q̄, 1 − q̄), because that is what a neuron scores that never fires. Zero on the axis therefore means "knows no more than a silent neuron".

# %%
from IPython.display import Image, Markdown, display

from nbsp_lib.results import neuron_figures
from nbsp_lib.results.output import save_figure, write_csv
from nbsp_lib.results.study import open_study
from nbsp_lib.runs.files import read_csv

study = open_study(params_file, sequence)
rows = read_csv(neurons)
rows["above"] = rows.score.astype(float) - rows.base_rate.astype(float)
rows.groupby("arm").agg(networks=("seed", "size"), scored=("score", "count"))

# %% [markdown]
# ## Scores in numbers
#
# For each arm, network and layer: how many neurons were chosen, the mean score above the base rate of all and of the chosen, and
# which part of the chosen sits in that layer. If one layer has nearly all of them, the ranking per network decides, in effect, for a layer.

# %%
groups = (
    rows[rows.score.notna()].assign(chosen=rows.chosen.astype(bool)).groupby(["arm", "network", "layer"], sort=False)
)
table = groups.agg(neurons=("score", "size"), chosen=("chosen", "sum"), all_above=("above", "mean"))
table["chosen_above"] = rows[rows.chosen.astype(bool)].groupby(["arm", "network", "layer"]).above.mean()
table["share_of_chosen"] = table.chosen / table.groupby(["arm", "network"]).chosen.transform("sum")
write_csv(table.reset_index(), f"{out}/score_distribution.csv")
table.round(3)

# %% [markdown]
# ## The picture
#
# One figure an arm. Grey bars count all neurons, coloured bars the chosen ones; the dashed line is the base rate. Coloured
# bars left of the line or on it are neurons that were chosen although a silent neuron would do as well.

# %%
arms = list(dict.fromkeys(rows.arm))
for arm in arms or ["none"]:
    here = rows[rows.arm == arm] if arms else rows.reindex([0]).fillna({"network": "actor", "layer": 1})
    figure = neuron_figures.score_distribution(here, study.title(f"Scores of single neurons, arm {arm}, all positions"))
    display(Image(save_figure(figure, out, f"score_distribution_{arm}")))

# %% [markdown]
# ## Conclusion
#
# Computed from the table: how far the chosen lie above the base rate, on average over networks and layers, arm by arm.

# %%
gain = (
    rows[rows.chosen.astype(bool)].groupby("arm", sort=False).above.agg(["mean", "size", lambda a: (a <= 1e-6).mean()])
)
lines = [
    f"- **{arm}**: {n:.0f} chosen neurons, on average {mean:+.3f} from the base rate; {silent:.0%} do not exceed it."
    for arm, (mean, n, silent) in gain.iterrows()
]
Markdown("\n".join(lines) or "No network could be scored.")
