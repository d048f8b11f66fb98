"""The screen of a campaign: lines that stay and, on a terminal, a bar for each running job below them."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nbsp_lib.runs.progress import words


class Screen:
    """console: of rich, by default of stdout; where that is no terminal (`live` is False), there are plain lines only."""

    def __init__(self, console=None):
        self.console, self.block = console or Console(), None
        self.live = self.console.is_terminal

    def say(self, text=""):
        """Prints a line that stays."""
        self.console.print(Text(text), soft_wrap=True)

    def draw(self, jobs, summary):
        """Draws the block anew: jobs = [(title, report of progress.json or None)], and a line below them."""
        if not self.live:
            return
        bars = Table.grid(padding=(0, 1))
        for width in (None, 20, None):
            bars.add_column(no_wrap=True, width=width)
        for title, report in jobs:
            if report:
                bars.add_row(Text(title), ProgressBar(report["total"], report["done"]), Text(words(report)))
            else:
                bars.add_row(Text(title), ProgressBar(1, 0), Text("starting"))
        if not self.block:
            self.block = Live(
                console=self.console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self.block.start()
        self.block.update(Group(bars, Text(summary, no_wrap=True)), refresh=True)

    def clear(self):
        """Removes the block."""
        if self.block:
            self.block.stop()
        self.block = None
