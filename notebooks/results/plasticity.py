# %% [markdown]
# # Can the networks still learn?
#
# A network that has been trained for long may lose the ability to learn anything new: units fall silent, features become alike, weights
# grow and gradients fade. None of these signs alone foretells it (Lyle et al. 2023), so several are recorded, for the actor and
# for each critic, at every evaluation. This notebook reads the records; seconds on a CPU.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
out = "runs/smoke/plasticity/window"  # folder for the figure and the tables

# %% [markdown]
# ## What was recorded
#
# On 2048 recent rows of the task in training, with $h$ the activations of a hidden layer of $W$ units and
# $\sigma_k$ the singular values of those of the last hidden layer:
#
# $$s_i = \frac{\operatorname{mean} |h_i|}{\frac{1}{W} \sum_j \operatorname{mean} |h_j|} \qquad
# \mathrm{dormant} = \text{share with } s_i \le 0.025 \qquad
# \mathrm{FAU} = \operatorname{mean} \, 1[h_i > 0] \qquad
# \mathrm{srank} = \min \left\{ k : \sum_{j \le k} \sigma_j \ge 0.99 \sum_j \sigma_j \right\}$$
#
# and the norms of all weights and of the gradient of the network's own loss. Runs that were shipped before these
# were recorded have none; they are named below. The records themselves are `plasticity.csv` in the folder of each run.

# %%
from IPython.display import Image, Markdown

from nbsp_lib.results import neuron_figures, tables
from nbsp_lib.results.output import save_figure, write_csv
from nbsp_lib.results.study import open_study

study = open_study(params_file, sequence)
rows = study.table("plasticity")
without = [arm for arm, result in study.results.items() if result.plasticity.empty]
print(
    f"{len(rows)} rows; recorded nothing: {', '.join(without) or 'no arm'}; not run: {', '.join(study.missing) or 'no arm'}"
)

# %% [markdown]
# ## At the end of the last finished position
#
# Means over the seeds; the two critics of a seed count as one. All positions are in `position_ends.csv`. A share of units, a rank, a norm: none
# of them can be compared between networks of another form (`crelu` fires with half of its units by construction).

# %%
ends = tables.position_ends(rows)
write_csv(ends, f"{out}/position_ends.csv")
last = ends[ends.position == ends.groupby(["arm", "seed"]).position.transform("max")]
last.groupby(["arm", "network"], sort=False)[["position", *neuron_figures.HEALTH]].mean().round(3)

# %% [markdown]
# ## The picture
#
# Each measure at the end of the last position that a seed has finished: a hollow point is a seed, the tick is the mean. Fewer dormant
# units, more active ones and higher ranks are held to be signs of plasticity; a weight norm far above the others' is held to be one of its loss.

# %%
figure = neuron_figures.health_points(
    last, study.arms, study.title("Signs of plasticity, at the end of the last finished position")
)
Image(save_figure(figure, out, "plasticity"))

# %% [markdown]
# ## Conclusion
#
# Computed from the records: for actor and critics, the arms with the fewest and with the most dormant units.

# %%
lines = []
for network, here in last.groupby("network", sort=False):
    mean = here.groupby("arm", sort=False).dormant.mean().sort_values()
    lines.append(
        f"- {network}: dormant units from {mean.iloc[0]:.0%} (**{mean.index[0]}**) to {mean.iloc[-1]:.0%} (**{mean.index[-1]}**), "
        f"{len(mean)} of {len(study.arms)} arms recorded."
    )
Markdown("\n".join(lines) or "No run here has recorded these measures.")
