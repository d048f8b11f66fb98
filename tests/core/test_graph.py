"""The update as one graph: what torch.compile makes of it, and that a task end changes neither graph nor addresses."""

import pytest
import tiny

from nbsp_lib.core.method import Method
from nbsp_lib.methods.nbsp import NBSP


@pytest.mark.parametrize("make", [Method, lambda: NBSP(replay_every=3)], ids=["sac", "nbsp"])
def test_one_full_graph_serves_every_task(make):
    def made(seeds):
        method = make()
        return method, *tiny.make(method, seeds)

    tiny.assert_one_full_graph(made, tiny.learn, 5, rtol=1e-5, atol=1e-6)
