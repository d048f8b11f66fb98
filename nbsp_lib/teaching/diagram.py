"""One update and what surrounds it as a picture, with the hooks of a method where they act.

`python -m nbsp_lib.teaching.diagram` writes docs/images/update.png, the figure of docs/architecture.md.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.patches import FancyBboxPatch

from nbsp_lib.results.style import DARK, GREY, PALETTE, panels

PICTURE = Path("docs/images/update.png")
# what happens, in order, from the shortest time to the longest: (title, file, [(what the learner does, the hooks there)])
LANES = (
    (
        "One update",
        "core/sac.py",
        [
            ("rows of the\nreplay are drawn", ("rows", "noise")),
            ("loss: the critics',\nthen the actor's", ("forward", "penalty")),
            ("gradient", ("shape_grad",)),
            ("Adam's first and\nsecond moments", ("shape_moment",)),
            ("step is added to\nthe parameters", ("shape_step",)),
            ("temperature\nis adapted", ("after_update",)),
            ("target follows\nthe critics", ("after_target",)),
        ],
    ),
    (
        "One round: some episodes, and an update every few steps",
        "training/trainer.py",
        [
            ("actions are chosen", ()),
            ("environments step,\nupdates are made", ()),
            ("rows enter\nthe replay", ("collected",)),
            ("the round ends", ("periodic",)),
            ("evaluation,\nif one is due", ("before_task",)),
        ],
    ),
    (
        "One position: rounds until the task is mastered or the budget is spent",
        "training/switch.py, core/task_end.py",
        [
            ("agent is made\n(first position)", ("build", "start", "columns")),
            ("task begins", ("before_task",)),
            ("rounds", ()),
            ("task ends: scores,\nmasks", ("after_task",)),
            ("result R is measured,\nnetworks are shipped", ()),
            ("a part of the\nrows is stored", ("kept",)),
            ("recent rows go, the\ntemperature restarts", ()),
        ],
    ),
)
HIGH, WIDE, HOOK, LANE = 0.42, 0.80, 0.10, 1.12  # of a box, of a hook, from lane to lane; in columns across


def update():
    """Draws LANES: a row for each length of time, a grey box for each thing that happens, a coloured name for each hook."""
    title = "What the one learner does (grey), and the hooks through which a method changes it (blue)"
    figure, axes = panels(1, 1, 11.0, 6.2, title)
    ax = axes[0, 0]
    columns = max(len(boxes) for _, _, boxes in LANES)
    for number, (title, file, boxes) in enumerate(LANES):
        lane = LANE * number
        ax.text(0, lane - 0.10, title, fontsize=9.5, fontweight="bold", color=DARK, va="bottom")
        ax.text(
            columns - 1 + WIDE, lane - 0.10, file, fontsize=8.5, color=DARK, va="bottom", ha="right", family="monospace"
        )
        for x, (text, hooks) in enumerate(boxes):
            box(ax, x, lane, HIGH, text, facecolor="#eeeeee", edgecolor=GREY)
            if x + 1 < len(boxes):
                ax.annotate(
                    "",
                    (x + 1, lane + HIGH / 2),
                    (x + WIDE, lane + HIGH / 2),
                    arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 4, "shrinkB": 3},
                )
            for i, hook in enumerate(hooks):
                box(
                    ax,
                    x,
                    lane + HIGH + 0.07 + 0.17 * i,
                    HOOK,
                    hook,
                    facecolor=PALETTE[0],
                    edgecolor="none",
                    color="white",
                    family="monospace",
                )
    ax.annotate(
        "descend: the only place where\na method touches learning",
        (2.9, -0.02),
        (2.9, -0.34),
        fontsize=8.5,
        color=DARK,
        ha="center",
        va="center",
        arrowprops={"arrowstyle": "-[, widthB=19.5, lengthB=0.5", "color": DARK},
    )
    ax.set_xlim(-0.06, columns - 1 + WIDE + 0.06)
    ax.set_ylim(LANE * len(LANES) - 0.08, -0.5)
    ax.axis("off")
    return figure


def box(ax, x, y, high, text, color=DARK, family=None, **style):
    ax.add_patch(FancyBboxPatch((x, y), WIDE, high, boxstyle="round,pad=0.02,rounding_size=0.05", lw=0.8, **style))
    ax.text(x + WIDE / 2, y + high / 2, text, ha="center", va="center", fontsize=8, color=color, family=family)


if __name__ == "__main__":
    update().savefig(PICTURE, metadata={"Software": None})
