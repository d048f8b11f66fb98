# %% [markdown]
# # What do the best-scored neurons do when the goal is reached?
#
# A high score says that a neuron's activity and success go together; it does not say how. A neuron may fire on success,
# or fall silent on success, which counts as much (the paper takes the larger of Acc and 1 − Acc). This notebook takes the best-scored neurons
# and compares their mean activation on the steps where the goal is reached with that on all other steps. Seconds on a CPU.

# %% tags=["parameters"]
params_file = "profiles/smoke/params.yaml"  # profile that says where the results are and which arms are shown
sequence = "window"  # name of a cycling sequence
neurons = "runs/smoke/neurons/window.csv.gz"  # file of the pipeline notebook on neurons
out = "runs/smoke/activation_split/window"  # folder for the figures and the table
count = 8  # best-scored neurons per network

# %% [markdown]
# ## The best neurons of every network
#
# The table holds, for each arm, seed, position and network, the best-scored neurons in the order of their scores. Unscored networks
# have none. Where several neurons share a score, the one with the lower index comes first, as in training.

# %%
from IPython.display import Image, Markdown, display

from nbsp_lib.results import neuron_figures
from nbsp_lib.results.output import save_figure, write_csv
from nbsp_lib.results.study import open_study
from nbsp_lib.runs.files import read_csv

study = open_study(params_file, sequence)
rows = read_csv(neurons).dropna(subset="score")
ranked = rows.sort_values(["score", "layer", "neuron"], ascending=[False, True, True], kind="stable")
best = (
    ranked.groupby(["arm", "seed", "position", "network"])
    .head(count)
    .sort_values(["arm", "seed", "position", "network"], kind="stable")
)
write_csv(best, f"{out}/activation_split.csv")
best.groupby(["arm", "position", "network"]).agg(seeds=("seed", "nunique"), best_score=("score", "max")).round(3)

# %% [markdown]
# ## Which of them fire at all?
#
# A neuron whose activation is zero on both kinds of steps is silent: it was chosen by the base rate alone. One with more
# activation on the other steps than on the goal steps is anti-correlated. The table counts the three kinds among the best.

# %%
silent = (best.activation_success == 0) & (best.activation_failure == 0)
kind = (best.activation_success > best.activation_failure).map(
    {True: "more active on success", False: "less active on success"}
)
best = best.assign(kind=kind.astype(object).where(~silent, "silent"))
kinds = best.groupby(["arm", "network"], sort=False).kind.value_counts().unstack(fill_value=0)
kinds

# %% [markdown]
# ## The picture
#
# One figure an arm: the first seed that could be scored, at its last scored position. Each line is one neuron, named by
# layer and number with its score. The filled point is its mean activation where the goal was reached, the hollow one elsewhere.

# %%
for arm in list(dict.fromkeys(best.arm)) or ["none"]:
    here = best[best.arm == arm]
    last = here[here.seed == here.seed.min()].query("position == position.max()")
    where = (
        f"seed {last.seed.iloc[0]}, position {last.position.iloc[0]} ({last.task.iloc[0]})"
        if len(last)
        else "nothing scored"
    )
    figure = neuron_figures.activation_split(last, study.title(f"The best-scored neurons of arm {arm}, {where}"))
    display(Image(save_figure(figure, out, f"activation_split_{arm}")))

# %% [markdown]
# ## Conclusion
#
# Computed from all seeds and positions, not only from those in the figures.

# %%
shares = best.kind.value_counts(normalize=True)
Markdown(
    "Among the best-scored neurons: " + ", ".join(f"{share:.0%} {name}" for name, share in shares.items()) + "."
    if len(best)
    else "No network could be scored."
)
