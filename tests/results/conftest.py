"""What tests of results share."""

from __future__ import annotations

import pytest

from nbsp_lib.results import measure


@pytest.fixture
def measured(monkeypatch):
    """The rollouts that results.measure asks for while a test runs, in order: their returns tell more than its successes."""
    played, play = [], measure.play
    monkeypatch.setattr(measure, "play", lambda *args, **options: played.append(play(*args, **options)) or played[-1])
    return played
