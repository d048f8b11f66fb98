"""The one number that tables and figures call the performance of a task, computed from its recorded rows."""

from __future__ import annotations

from nbsp_lib.envs.sequences import benchmark_of

SUCCESS, NORMALISED, SHARE = "success", "human-normalised return", "mean reward of a step"
BOUNDED = (SUCCESS, SHARE)  # lie in [0, 1]
NOTES = {
    NORMALISED: [
        "Performance is the human-normalised return: 0 is random play, 1 a human tester. It has no upper bound, so "
        "forward transfer is the plain difference to the task trained alone."
    ],
    SHARE: ["Performance is the mean reward of a step, which is the return as a share of the highest possible one."],
}
EDITED = (
    "the method changes its network at the end of a position. R averages two evaluations before that and one after it, so "
    "FM holds what the change costs, beside what later positions cost."
)


def unit(task):
    """Returns the unit of a task's performance: SUCCESS, the share of episodes with success at any step; NORMALISED, see
    envs.atari.normalised; or SHARE."""
    return {"metaworld": SUCCESS, "atari": NORMALISED, "dmc": SHARE}[benchmark_of(task)]


def performance(task, success, gained, episode):
    """Returns the performance from the success rate and the mean return of episodes (numbers, or arrays) of so many steps."""
    if unit(task) == SUCCESS:
        return success
    if unit(task) == SHARE:
        return gained / episode
    from nbsp_lib.envs.atari import normalised

    return normalised(task, gained)


def performed(frame, episode):
    """Puts the performance into both columns of success of a recorded table whose benchmark has returns only."""
    if "return" not in frame or frame.empty or unit(frame.task.iloc[0]) == SUCCESS:
        return frame
    of = [
        float(performance(task, None, gained, episode))
        for task, gained in zip(frame.task, frame["return"], strict=True)
    ]
    return frame.assign(success=of, success_last=of)
