"""The update as one graph: what torch.compile makes of it, and that a task end changes neither graph nor addresses."""
import pytest
import tiny
import torch
from torch.testing import assert_close as close

from nbsp_lib import sac
from nbsp_lib.method import Method
from nbsp_lib.methods.nbsp import NBSP


@pytest.mark.parametrize("make", [Method, lambda: NBSP(replay_every=3)], ids=["sac", "nbsp"])
def test_one_full_graph_serves_every_task(make):
    """torch.compile traces the whole update unbroken, once, task ends included, and learns what eager code does."""
    def trained(update):
        method, seeds = make(), (0, 1)
        agent, replay = tiny.make(method, seeds)
        addresses = [t.data_ptr() for t in (agent.tensors() | method.state).values()]
        tiny.learn(agent, replay, method, seeds, 5, update=update)
        method.after_task(agent, 0, tiny.random_world(agent, seeds))
        tiny.learn(agent, replay, method, seeds, 5, purpose=4, update=update)
        assert addresses == [t.data_ptr() for t in (agent.tensors() | method.state).values()]
        return tiny.everything(agent, method)

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    with torch._dynamo.config.patch(trace_autograd_ops=True, error_on_recompile=True):
        compiled = trained(torch.compile(sac.update, backend="aot_eager", fullgraph=True))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    close(compiled, trained(sac.update), rtol=1e-5, atol=1e-6)
    torch._dynamo.reset()
