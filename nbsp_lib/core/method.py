"""What a continual-learning method may change. The base class changes nothing: it is plain SAC, fine-tuned task by task.

A method is a subclass that overrides what it needs. Its settings are the keyword arguments of its constructor. It keeps
everything it remembers in `self.state`: tensors with a leading P, made in `start` at their neutral value and changed in place.
So one graph serves every task, a run resumes exactly, and "before the first task end" needs no branch. docs/your-method.md
builds one step by step.
"""

from __future__ import annotations

from nbsp_lib.core import conv, nets


class Method:
    # Identical to plain SAC until the first task ends, so position 1 can be shared between arms.
    forkable = True
    # after_update reads `blame`, which is computed only then because it costs a little.
    needs_blame = False
    # after_task plays a scoring rollout; plans count its steps.
    needs_rollout = False
    # Evaluation needs the task identity, which most methods do not know; tables say so.
    needs_task = False
    # after_task changes the outputs of the networks, so the network that ships is another one than before; tables say so.
    edits_at_end = False
    # There is a form for convolutional networks; without it the method is refused where observations are images.
    images = True
    # Parts of SAC's own state that are reset at a switch of tasks: the temperature with its optimiser; Adam's moments and
    # counts of actor and critics (together: moments alone would overshoot).
    reset_temperature, reset_adam = True, False
    # Share of the rows trained on that come from the store; tables mark comparisons at unequal dose.
    dose = 0.0
    # Names of the state that `forward` and before_task(…, "evaluate") read; it ships with the networks, as fp16.
    acts_from = ()

    def __init__(self):
        self.state = {}

    # network
    def build(self, name, C, sizes, gens):
        """Makes the Net `name` (actor or critic) of C parallel networks; sizes = [in, W, …, out]; once, eager. in: a number,
        or the (channels, H, W) of an image."""
        return (conv.cnn if isinstance(sizes[0], tuple) else nets.mlp)(name, C, sizes, gens)

    def forward(self, net, params, x, probe=None):
        """Returns output and hidden activations, as nets.mlp_forward, or conv.cnn_forward of images [P, 1 or C, B, channels,
        H, W]; in graph."""
        return (conv.cnn_forward if x.dim() == 6 else nets.mlp_forward)(net, params, x, probe)

    def start(self, agent, settings):
        """Allocates `self.state` for this agent at the neutral value; once, eager. settings: settings.TrainSettings."""

    def noise(self, agent):
        """Returns {name: shape} of standard normal numbers for each update of each seed; hooks get them as noise[name]."""
        return {}

    # data
    def columns(self, agent):
        """Returns {name: width} of replay columns besides obs, action, reward, next_obs, done; after `start`."""
        return {}

    def collected(self, agent, obs):
        """Returns {column: values [P, E, width]} of rows collected now, from their obs [P, E, obs_dim]; zeros if not named."""
        return {}

    def kept(self, agent, batch):
        """Returns {column: new values [P, n, width]} of rows that have just been stored, from all their columns; after the
        task end."""
        return {}

    def rows(self, step, recent, stored):
        """Returns the replay rows [P, B] that this update learns from. step [P, 1] counts updates from 1; in graph.

        `recent` rows come from the current position, `stored` rows from what was kept of the tasks (before the first task end
        they equal `recent`).
        """
        return recent

    # learning
    def penalty(self, net, params, old):
        """Returns an addition [P] to the loss of `net`; old: the batch of the `stored` rows; in graph."""
        return 0.0

    def shape_grad(self, net, grads):
        """Returns the gradients for Adam; in graph."""
        return grads

    def shape_moment(self, net, grads):
        """Returns the gradients for Adam's first moment in place of `grads` (from shape_grad), or None for the same; in graph."""

    def shape_step(self, net, steps, noise):
        """Returns the steps that are added to the parameters, after Adam; in graph."""
        return steps

    def after_update(self, agent, batch, noise, hidden, blame):
        """Acts after critic, actor and temperature moved; in graph.

        hidden, blame: {network: [P, C, B, W] for each layer}; blame = dL/d(hidden), empty lists unless needs_blame.
        noise["sac"] [2, P, B, A] is the noise of this update.
        """

    def after_target(self, agent):
        """Acts after the target network moved; in graph."""

    # boundaries, eager
    def periodic(self, agent, context):
        """Acts between updates, once in every round. context: context.Context."""

    def before_task(self, agent, task, purpose):
        """Learns which task `forward` is asked about from now on. task: index of a distinct task. purpose: "train" when a
        position begins, "evaluate" before a rollout, "resume" when training goes on after rollouts."""

    def after_task(self, agent, task, context):
        """Acts at the end of a position, while its recent rows still exist -> rows for scores.csv, or None."""


def overrides(method, hook):
    """Returns whether `method` overrides `hook`: what no method uses is not computed."""
    return getattr(type(method), hook) is not getattr(Method, hook)
