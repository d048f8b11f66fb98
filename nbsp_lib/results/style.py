"""The style that every figure of the project begins from, whatever a matplotlibrc of the machine says."""

from __future__ import annotations

import matplotlib as mpl

# Besides matplotlib's defaults: its own font only, where others stand in for a missing sign only if they are installed.
STYLE = {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "axes.formatter.use_locale": False}


def begin():
    """Set matplotlib's settings of this process to its defaults and STYLE. A cell may change them afterwards."""
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)
