# %% [markdown]
# # What does a skill neuron of a convolutional network see?
#
# In a network that plays from pictures, a neuron of a convolutional layer is a *filter*: one pattern, looked for all over the
# picture. Its answer is a map, and its activation, for the score, is the mean over that map (ours; the paper does not say).
# This notebook scores the filters of one shipped actor on whole games of Boxing and lays the maps of the best-scored ones
# over the pictures, by the paper's score and by the balanced one. The goal metric q of a moment is the return of the game that it belongs to.
#
# The agent is small and was trained for minutes, not days (`profiles/pixels`): it is here to be looked at, not to be
# compared with. It trains nothing; half a minute on one CPU core.

# %% tags=["parameters"]
folder = "data/pixels/boxing/nbsp"  # result folder of a run that was trained from pixels
out = "runs/smoke/filters"  # folder for the figure and the table
seed = 0  # whose networks
games = 6  # whole games that filters are scored on
each = 1  # best-scored filters shown of each layer, by each of the two scores
steps = "40 160 320 640 1000"  # moments of one game to look at

# %% [markdown]
# ## How well does it play?
#
# The recorded evaluations, as points of the game and as human-normalised return: 0 is random play, 1 a human tester.

# %%
from IPython.display import Image, Markdown

from nbsp_lib.results import filters
from nbsp_lib.results.output import save_figure, write_csv
from nbsp_lib.results.study import read_result
from nbsp_lib.runs.files import enter_repository
from nbsp_lib.runs.state import load_agent, read_run
from nbsp_lib.training.rollout import play

enter_repository()
run = read_run(folder)
task, train = run["config"]["tasks"][0], run["config"]["train"]
recorded = read_result(folder, run["config"]["sequence"], run["config"]["arm"]).curves
recorded[["seed", "step", "updates", "return", "success"]].rename(columns={"success": "human-normalised return"}).round(
    3
)

# %% [markdown]
# ## Score the filters
#
# Equations 1 to 4 as in the other notebooks, with whole games in the place of steps: a filter scores high if it is more
# active than usual in the games that go better than usual. The skill neurons are chosen among all hidden neurons of the
# network, dense units included, so a layer may have none.

# %%
agent, method = load_agent(folder, 1, [seed], run)
share = run["config"]["settings"]["share"]
played = play(agent, task, [seed], games, train, hidden=True, method=method)
rows = filters.filter_rows(played, share)
write_csv(rows, f"{out}/filters.csv")
print("points of the games:", *played.points[0].int().tolist())
filters.summary(rows).round(3)

# %% [markdown]
# ## The picture
#
# Above, five moments of one game as the agent sees them (84×84, grey). Each row below is one filter: bright where it fires,
# dark where it does not, on one scale within the row. Layers are numbered from the picture on: the first sees strokes of 8×8
# points, the third patches of 36×36. *paper* is the score of Equation 4. A filter that almost never fires gets the share of
# moments in games below the mean for nothing; *balanced* counts both kinds of games alike, so such a filter gets 0.5.
# *held* says that the mask of NBSP would hold this filter back if it chose by that score.

# %%
at = [int(step) for step in steps.split()]
pictures, maps = filters.watched(agent, method, task, seed, train, at)
best = filters.picked(rows, each)
figure = filters.overlay(
    best,
    pictures,
    maps,
    at,
    f"The best-scored filters of an actor that plays {task}\nseed {seed}, {games} games, profile {run['profile']}",
)
Image(save_figure(figure, out, "filters"))

# %% [markdown]
# ## Conclusion
#
# Computed from the table. With few games a score can only take few values, and the base rate is what a filter scores that never fires.

# %%
chosen = rows[rows.chosen.astype(bool)]
told = (
    f"base rate {rows.base_rate.iloc[0]:.2f}"
    if rows.score.notna().any()
    else "all games ended alike, so nothing could be scored"
)
Markdown(
    f"{len(chosen)} of {len(rows)} filters are among the skill neurons ({told}); "
    f"{(chosen.score > rows.base_rate.iloc[0] + 1e-6).sum()} of them score above a filter that never fires. "
    f"The mean return over the {games} games is {played.points.mean():.1f} points."
)
