"""What a campaign shows: lines that stay, and on a terminal a block below them that is drawn anew."""
from __future__ import annotations

import shutil
import sys


class Screen:
    """out: a text stream; the block is left out where it is no terminal (`live`)."""

    def __init__(self, out=None):
        self.out, self.drawn = out or sys.stdout, 0
        self.live = self.out.isatty()

    def say(self, text=""):
        self.draw(())
        print(text, file=self.out, flush=True)

    def draw(self, lines):
        size = shutil.get_terminal_size()
        rows = [line[:size.columns - 1] for line in lines][:size.lines - 2]
        if self.live and (rows or self.drawn):
            self.out.write((f"\x1b[{self.drawn}F" if self.drawn else "") + "\x1b[J" + "".join(f"{row}\n" for row in rows))
            self.out.flush()
            self.drawn = len(rows)
