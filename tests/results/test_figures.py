"""Figures show what they were given: lines, labels, marks; and say so where there is nothing to show."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import synthetic
import torch
from test_results import HAND, profile_at

from nbsp_lib.results import figures, neuron_figures, neuron_tables, tables
from nbsp_lib.results.output import save_figure
from nbsp_lib.results.study import COLUMNS, performances, read_study
from nbsp_lib.training import rollout

ARMS = ("fine-tuning", "nbsp", "replay-only")


@pytest.fixture
def study(tmp_path):
    """Two arms of two seeds; replay-only is missing."""
    synthetic.write(tmp_path, "window", "fine-tuning", seeds=(0, 1), R=HAND)
    synthetic.write(tmp_path, "window", "nbsp", seeds=(0, 1), unscored=[(0, 1)])
    return read_study(profile_at(tmp_path), "window")


@pytest.fixture(scope="module")
def neurons():
    """Rows of every neuron of two networks of two seeds, from made-up activations."""
    frames = []
    for seed in (0, 1):
        for position, task in ((1, "window-open"), (2, "window-close")):
            rows = neuron_tables.neuron_rows(made_up_rollout(10 * seed + position), "success", 0.25)
            frames.append(rows.assign(seed=seed, arm="nbsp", position=position, task=task))
    return pd.concat(frames, ignore_index=True)[neuron_tables.NEURON_COLUMNS]


def made_up_rollout(seed, goal=None):
    """A Rollout of one seed: 4 episodes of 6 steps, two layers of 4 neurons, the first of which never fires."""
    g = torch.Generator().manual_seed(seed)
    draw = lambda C: [torch.randn(1, C, 24, 4, generator=g).relu() * torch.tensor([0.0, 1, 1, 1]) for _ in range(2)]
    success = (torch.rand(1, 4, 6, generator=g) > 0.6).float() if goal is None else torch.full((1, 4, 6), float(goal))
    return rollout.EpisodeRollout(success, torch.rand(1, 4, 6, generator=g), {"actor": draw(1), "critic": draw(2)})


def words(figure):
    """All text of a figure."""
    from matplotlib.text import Text

    return " | ".join(text.get_text() for text in figure.findobj(Text))


def test_learning_curves_draw_the_recorded_numbers(study):
    curves = study.table("curves")
    figure = figures.learning_curves(curves, study.arms, study.names, study.title("Curves"))
    panels = figure.get_axes()
    thick = next(line for line in panels[0].lines if line.get_label() == "window-close")
    here = curves[(curves.arm == "fine-tuning") & (curves.task == "window-close")].groupby("total_step").success.mean()
    drawn = dict(pd.DataFrame({"x": thick.get_xdata(), "y": thick.get_ydata()}).dropna().groupby("x").y.unique())
    assert np.allclose(list(drawn), here.index) and np.allclose(np.stack(list(drawn.values()))[:, 0], here)
    assert len(panels[0].lines) == 2 * (2 + 1)  # two tasks: two seeds and their mean each
    assert len(panels[2].lines) == 0 and "not run" in words(figure)
    for part in ("1: window-open", "4: window-close", "replay-only", "profile smoke", "n = 2 of 2 seeds"):
        assert part in words(figure)


def test_of_many_arms_those_not_run_are_named_and_take_no_room(study):
    many = (*study.arms, *"abcdef")
    figure = figures.learning_curves(study.table("curves"), many, study.names, "t")
    assert len([ax for ax in figure.get_axes() if ax.get_visible()]) == 2
    assert "not run: replay-only, a, b, c, d, e, f" in words(figure)
    matrix, order = performances(study)
    figure = figures.r_matrix(matrix, many, study.names, order, "t")
    assert "not run: replay-only, a, b, c, d, e, f" in words(figure) and "replay-only, not run" not in words(figure)
    table = tables.main_table(study, tables.per_seed(study), repeats=50)
    figure = figures.metric_points(tables.per_seed(study), table, many, "t")
    assert "not run: replay-only, a, b, c, d, e, f" in words(figure)
    assert [label.get_text() for label in figure.get_axes()[0].get_yticklabels()] == ["fine-tuning  2/2", "nbsp  2/2"]


def test_signs_of_plasticity_are_points_of_seeds_and_their_means():
    rows = [
        {"arm": "a", "seed": seed, "network": network, **dict.fromkeys(neuron_figures.HEALTH, value + seed)}
        for network, value in (("actor", 1.0), ("critics", 5.0))
        for seed in (0, 1)
    ]
    figure = neuron_figures.health_points(pd.DataFrame(rows), ("a", "b"), "t")
    first, below = figure.get_axes()[0], figure.get_axes()[len(neuron_figures.HEALTH)]
    for ax, want in ((first, [1.0, 2.0]), (below, [5.0, 6.0])):
        assert sorted(ax.collections[0].get_offsets()[:, 0]) == want
        assert ax.lines[0].get_xdata()[0] == pytest.approx(np.mean(want))
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b  (nothing recorded)"]
    figure = neuron_figures.health_points(pd.DataFrame(rows), tuple("abcdefg"), "t")
    assert [label.get_text() for label in figure.get_axes()[0].get_yticklabels()] == ["a"]
    assert "nothing recorded: b, c, d, e, f, g" in words(figure)


def test_spans_are_the_positions(study):
    spans = figures.spans(study.table("curves"))
    assert spans.start.tolist() == [0, 1000, 2000, 3000] and spans.end.tolist() == [1000, 2000, 3000, 4000]


def test_r_matrix_shows_means_and_gaps(study):
    matrix, order = performances(study)
    figure = figures.r_matrix(matrix, study.arms, study.names, order, study.title("R"))
    shown = np.ma.filled(figure.get_axes()[0].collections[0].get_array().astype(float), np.nan).reshape(3, 4, 2)
    assert np.allclose(shown[0], HAND.mean(0)) and np.isnan(shown[2]).all()
    assert "replay-only, not run" in words(figure) and "fine-tuning, 2 of 2 seeds" in words(figure)
    assert "after 4" in words(figure)


def test_r_matrix_counts_seeds_position_by_position():
    """Three seeds, the sequence cut short after two positions of three: their cells are filled, and the label says so."""
    R = np.full((3, 3, 2), 0.5)
    R[:, 2] = np.nan
    figure = figures.r_matrix({"nbsp": R}, ("nbsp",), ("a", "b"), np.array([0, 1, 0]), "t")
    assert "nbsp, 3 of 3 seeds, 2 of 3 positions" in words(figure)


def test_metric_points_show_every_seed(study):
    values = tables.per_seed(study)
    table = tables.main_table(study, values, repeats=50)
    figure = figures.metric_points(values, table, study.arms, "title")
    first = figure.get_axes()[0]
    points = np.concatenate([c.get_offsets()[:, 0] for c in first.collections[:1]])
    assert sorted(points) == pytest.approx([0.6, 1.0])  # ASR of fine-tuning, see test_results
    assert [label.get_text() for label in first.get_yticklabels()] == [
        "fine-tuning  2/2",
        "nbsp  2/2",
        "replay-only  0/2",
    ]
    assert {line.get_linestyle() for line in first.lines if len(line.get_xdata()) == 2} == {
        "-",
        ":",
    }  # 0-axis; interval


def test_gate_says_what_was_not_run():
    final = pd.DataFrame({"task": ["a", "a", "b"], "seed": [0, 1, None], "value": [0.95, 0.5, np.nan]})
    figure = figures.training_gate(final, 0.9, "title")
    ax = figure.get_axes()[0]
    assert sorted(ax.collections[0].get_offsets()[:, 1]) == [0.5, 0.95]
    assert "not run" in words(figure) and "gate 0.9" in words(figure)


def test_base_rate_trap_puts_silence_on_the_diagonal(study):
    scored = study.table("scores").query("status == 'scored' and arm == 'nbsp'")
    figure = neuron_figures.base_rate_trap(scored, "title")
    points = np.concatenate([c.get_offsets() for c in figure.get_axes()[0].collections])
    expected = scored[["base_rate", "chosen_score"]].to_numpy(float)
    assert np.allclose(np.sort(points, axis=0), np.sort(expected, axis=0))


def test_neuron_figures_carry_their_rows(neurons):
    best = neurons[(neurons.seed == 0) & (neurons.position == 1)].sort_values("score", ascending=False)
    split = neuron_figures.activation_split(best.groupby("network").head(3), "title")
    top = best.iloc[0]
    assert f"layer {top.layer} no. {top.neuron}: {top.score:.2f}" in words(split)
    assert [len(ax.get_yticks()) for ax in split.get_axes()] == [3, 3, 3]
    scores = neuron_figures.score_distribution(neurons, "title")
    chosen = neurons[(neurons.network == "actor") & (neurons.layer == 1)].chosen.sum()
    assert f"actor, hidden layer 1: {chosen} of 16 chosen" in words(scores)
    assert len(scores.get_axes()) == 6


def test_silencing_bars_are_means_over_agents():
    rows = [
        ("nbsp", seed, 1, choice, draw, value)
        for seed in (0, 1)
        for choice, draw, value in [
            ("nothing", 0, 1.0),
            ("chosen", 0, 0.2 * seed),
            ("matched", 0, 0.5),
            ("matched", 1, 0.7),
            ("most active", 0, 0.4),
            ("random firing", 0, 0.3),
            ("lowest", 0, 0.9),
        ]
    ]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "position", "choice", "draw", "success"])
    ax = neuron_figures.silencing(frame, "title").get_axes()[0]
    assert [segment[0, 1] for segment in ax.collections[0].get_segments()] == pytest.approx(
        [1, 0.1, 0.6, 0.4, 0.3, 0.9]
    )
    assert len(ax.lines) == 2


def test_overlap_shows_mean_and_expectation(neurons):
    pairs = neuron_tables.overlap_rows(neurons)
    figure = neuron_figures.overlap(pairs, "title")
    here = pairs[(pairs.network == "actor") & (pairs.comparison == "two halves of a rollout")]
    ticks = [line.get_xdata()[0] for line in figure.get_axes()[0].lines[:2]]
    assert ticks == pytest.approx([here.jaccard.mean(), here.expected.mean()])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.learning_curves(pd.DataFrame(columns=COLUMNS["curves"]), ARMS, ("a", "b"), "t"),
        lambda: figures.r_matrix({}, ARMS, ("a", "b"), np.array([0, 1]), "t"),
        lambda: neuron_figures.silencing(
            pd.DataFrame(columns=["arm", "seed", "position", "choice", "draw", "success"]), "t"
        ),
        lambda: neuron_figures.overlap(pd.DataFrame(columns=["comparison", "network", "jaccard", "expected"]), "t"),
        lambda: neuron_figures.activation_split(pd.DataFrame(columns=neuron_tables.NEURON_COLUMNS), "t"),
        lambda: neuron_figures.base_rate_trap(pd.DataFrame(columns=COLUMNS["scores"]), "t"),
    ],
)
def test_nothing_to_show_is_said(draw, tmp_path):
    figure = draw()
    assert "not run" in words(figure) or "unscored" in words(figure) or "nothing to compare" in words(figure)
    save_figure(figure, tmp_path, "empty")


def test_saved_figures_are_byte_equal(study, tmp_path):
    matrix, order = performances(study)
    for folder in "ab":
        figure = figures.r_matrix(matrix, study.arms, study.names, order, study.title("R"))
        assert save_figure(figure, tmp_path / folder, "r").endswith("r.png")
    for suffix in ("png", "svg"):
        assert (tmp_path / "a" / f"r.{suffix}").read_bytes() == (tmp_path / "b" / f"r.{suffix}").read_bytes()
