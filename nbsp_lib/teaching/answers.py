"""Whether a reader's answer is right, and if not, what is wrong with it."""

from __future__ import annotations

import numpy as np


def check(answer, right, why="", *, name="your answer", tolerance=1e-6):
    """Compare a number, array or tensor with the right one and say what is wrong: shape, NaN, sign, a factor, the first place
    that differs. why: said besides if it is wrong. Returns whether it is right."""
    told = problem(np.asarray(answer, float), np.asarray(right, float), tolerance)
    print(f"{name} {told}{f' {why}' if why else ''}" if told else "Right.")


def problem(answer, right, tolerance):
    """What is wrong in words, or None."""
    if answer.shape != right.shape:
        return f"has the shape {answer.shape}, expected {right.shape}."
    if np.isnan(answer).any() and not np.isnan(right).any():
        return f"is not a number in {int(np.isnan(answer).sum())} of {answer.size} places: is something divided by 0?"
    if np.allclose(answer, right, rtol=tolerance, atol=tolerance, equal_nan=True):
        return None
    if np.allclose(answer, -right, rtol=tolerance, atol=tolerance):
        return "has the wrong sign."
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = (answer / right)[np.abs(right) > tolerance]
    if len(factors) and np.isfinite(factors).all() and np.ptp(factors) <= 1e-3 * abs(factors.mean()):
        return f"is {factors.mean():.4g} times as large as it should be."
    off = ~np.isclose(answer, right, rtol=tolerance, atol=tolerance, equal_nan=True)
    if answer.ndim == 0:
        return f"is {float(answer):.4g}, expected {float(right):.4g}."
    place = tuple(int(i) for i in np.argwhere(off)[0])
    return (
        f"differs in {int(off.sum())} of {answer.size} places, first at {place}: {answer[place]:.4g} instead of "
        f"{right[place]:.4g}."
    )
