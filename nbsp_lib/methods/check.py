"""What every method must satisfy, checked on small networks and made-up experience: `nbsp check-method my_method.py:Mine`.

Every check makes runs in miniature, see trial.Trial, once with continuous actions and once with discrete ones.
"""

from __future__ import annotations

import torch

from nbsp_lib.core import sac
from nbsp_lib.core.method import Method
from nbsp_lib.methods.trial import HEADS, Trial


def differing(a, b):
    """Names of the tensors that are not equal bit for bit (NaN equals NaN), or that only one of the two has."""
    return sorted({*a} ^ {*b}) + [
        k for k in a if k in b and not torch.equal(a[k].nan_to_num(7e7), b[k].nan_to_num(7e7))
    ]


def named(names):
    """Returns some of the names, for a message."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


# -- the checks: each returns None, or what is wrong and what to do about it --------------------------------------------------
def state_is_per_seed(make, head):
    """State is tensors with one entry a seed."""
    state = Trial(make, (0, 1, 2), head).method.state
    if bad := [k for k, t in state.items() if not (isinstance(t, torch.Tensor) and t.dim() and len(t) == 3)]:
        return f"of a population of 3, state without a leading axis of 3: {named(bad)}; every seed needs an entry of its own"


def seeds_are_independent(make, head):
    """A seed learns the same, bit for bit, independent of the other seeds."""
    together = Trial(make, (0, 1, 2), head).live().tensors()
    for p in range(3):
        if bad := differing({k: t[p : p + 1] for k, t in together.items()}, Trial(make, (p,), head).live().tensors()):
            return (
                f"seed {p} differs alone and among three in {named(bad)}. Look for a mean, sum, max or top-k over axis 0, "
                "for torch's global random numbers, or for one generator used by all seeds"
            )


def addresses_stay(make, head):
    """Tensors are changed in place, never replaced: a captured GPU graph holds on to their addresses."""
    trial = Trial(make, (0, 1), head)
    places = {k: t.data_ptr() for k, t in trial.tensors().items()}
    after = {k: t.data_ptr() for k, t in trial.live().tensors().items()}
    if bad := [k for k in {**places, **after} if places.get(k) != after.get(k)]:
        return f"another tensor than at the start: {named(bad)}; write with copy_, fill_, add_, …, and allocate all in start()"


def one_graph_serves_all(make, head):
    """An update compiles as one graph, and a task end does not compile it again."""
    torch._dynamo.reset()
    try:  # in float64: rounding must not hide, or pretend, a difference
        torch.set_default_dtype(torch.float64)
        eager = Trial(make, (0, 1), head).live(2).tensors()
        with torch._dynamo.config.patch(trace_autograd_ops=True, error_on_recompile=True):
            update = torch.compile(sac.update_from_rows, backend="aot_eager", fullgraph=True)
            compiled = Trial(make, (0, 1), head, update).live(2).tensors()
    except Exception as error:  # whatever the compiler objects to is the answer
        lines = [line for line in str(error).splitlines() if line.strip()]
        return (
            "torch.compile refuses it: "
            + " / ".join(lines[:3])
            + ". In hooks that are marked 'in graph': no .item(), no "
            "`if` on a tensor, no shape that depends on data, and no Python number that changes from task to task"
        )
    finally:
        torch.set_default_dtype(torch.float32)
        torch._dynamo.reset()
    if bad := [k for k in eager if not torch.allclose(compiled[k], eager[k], rtol=1e-6, atol=1e-8, equal_nan=True)]:
        return (
            f"compiled and eager updates differ in {named(bad)}; a hook probably reads what is no tensor of its state"
        )


def a_run_resumes_exactly(make, head):
    """A new process that is given the saved tensors goes on as if nothing had happened."""
    for positions in (0, 1, 3):
        going = Trial(make, (0, 1), head).live(positions)
        new = Trial(make, (0, 1), head)
        new.position, new.replay.tasks, new.replay.seen = going.position, list(going.replay.tasks), going.replay.seen
        new.context.gens = [torch.Generator() for _ in new.seeds]
        for mine, theirs in zip(new.context.gens, going.context.gens):
            mine.set_state(theirs.get_state())
        for k, t in new.tensors().items():
            t.copy_(going.tensors()[k])
        for trial in (going, new):
            trial.learn(purpose="resumed")
            trial.round()
            trial.finish()
            trial.learn()
        if bad := differing(going.tensors(), new.tensors()):
            return (
                f"stopped after {positions} task ends and resumed, {named(bad)} differ; whatever changes must be a tensor in "
                "self.state (a plain attribute is lost when a process ends)"
            )


def plain_until_the_first_task_end(make, head):
    """A forkable method is plain SAC, bit for bit, until its first task end: position 1 is then trained once for all of them."""
    if not make().forkable:
        return None
    mine, plain = Trial(make, (0, 1), head), Trial(Method, (0, 1), head)
    for trial in (mine, plain):
        trial.learn()
        trial.round()
        trial.learn(purpose="learn more")
    if bad := differing(mine.agent.tensors(), plain.agent.tensors()):
        return (
            f"{named(bad)} differ from plain SAC before the first task end; start from neutral values, or say "
            "`forkable = False` in the class"
        )


def nothing_is_nan(make, head):
    """Three positions of made-up experience leave finite networks."""
    agent = Trial(make, (0, 1), head).live().agent
    if bad := [k for k, t in agent.tensors().items() if not torch.isfinite(t.double()).all()]:
        return f"not finite after three short positions: {named(bad)}"


CHECKS = {
    state_is_per_seed: "State is tensors with one entry a seed.",
    nothing_is_nan: "Three positions of made-up experience leave finite networks.",
    seeds_are_independent: "A seed learns the same, to the last bit, whatever other seeds stand beside it.",
    addresses_stay: "Tensors are changed in place, never replaced: a captured GPU graph holds on to their addresses.",
    one_graph_serves_all: "An update compiles as one graph, and a task end does not compile it again.",
    a_run_resumes_exactly: "A new process that is given the saved tensors goes on as if nothing had happened.",
    plain_until_the_first_task_end: "A forkable method is plain SAC, bit for bit, until its first task end: position 1 is then "
    "trained once for all of them.",
}


def check_method(make, told=print):
    """Runs every check on the method that make() returns and reports each; True if all hold."""
    torch.set_num_threads(1)
    passed = True
    for check, title in CHECKS.items():
        try:
            problem = next(filter(None, (check(make, head) for head in HEADS)), None)
        except Exception as error:  # a hook that raises is a finding, not a crash of the check
            line = error.__traceback__
            while line.tb_next:
                line = line.tb_next
            problem = f"{type(error).__name__}: {error} ({line.tb_frame.f_code.co_filename}, line {line.tb_lineno})"
        told(f"FAIL  {title}\n      {problem}" if problem else f"ok    {title}")
        passed &= not problem
    return passed
