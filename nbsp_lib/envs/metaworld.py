"""Meta-World (V3 environments, v2 rewards) as one batched step over seeds and environments.

Axes: P population (seed), E environments of a seed. All environments run in this process, in lock-step, in one thread.

Meta-World compiles a model (0.15 s, 20 MB) for every environment and simulates 100 steps at every reset. Here all
environments of a task take turns on one simulator, and the start of an episode is computed once for each goal.
The trajectories stay those of a fresh, untouched environment, bit for bit (tests/envs/test_envs.py).
"""

from __future__ import annotations

import difflib
import functools
import math
from unittest import mock

import metaworld
import mujoco
import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from nbsp_lib.envs.batched import Episodes

GOALS = 50  # goals in the table of one seed, fixed by Meta-World
HORIZON = 500  # Meta-World's own limit on the steps of an episode
MOVE_HAND = SawyerXYZEnv._reset_hand
STATE = mujoco.mjtState.mjSTATE_INTEGRATION.value  # all that MuJoCo's next step depends on, its warm start included


def environment_name(task):
    """Returns Meta-World's name of a task given without its version: "window-open" -> "window-open-v3".

    ValueError with the nearest valid name if there is no such task.
    """
    name = f"{task}-v3"
    if name not in metaworld.MT1.ENV_NAMES:
        tasks = [known.removesuffix("-v3") for known in metaworld.MT1.ENV_NAMES]
        near = difflib.get_close_matches(str(task), tasks, n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown Meta-World task {task!r}: did you mean {near!r}?")
    return name


@functools.cache
def goal_table(task, seed):
    """Returns the 50 goals of a seed, a tuple of Meta-World `Task` objects that leave the goal visible. Cached.

    MT1 draws them from numpy's global generator; it seeds the generator first and restores it afterwards. It draws one at every
    reset, and simulates the way of the hand, 50 steps that change no goal: here it takes one of them.
    """
    with mock.patch.object(SawyerXYZEnv, "_reset_hand", lambda env, steps=50: MOVE_HAND(env, 1)):
        return tuple(metaworld.MT1(environment_name(task), seed=seed).train_tasks)


def lean(base):
    """Returns a subclass of a Meta-World class with the same observation for 30 us less."""

    class Lean(base):
        @functools.cached_property
        def claw(self):
            """Positions of the hand, right and left finger: views that follow the simulation."""
            return [self.data.body(name).xpos for name in ("hand", "rightclaw", "leftclaw")]

        def _get_curr_obs_combined_no_goal(self):
            position, quaternion = self._get_pos_objects(), self._get_quat_objects()
            if position.size != 3:  # two objects: Meta-World interleaves positions and quaternions
                return super()._get_curr_obs_combined_no_goal()
            hand, right, left = self.claw
            apart = right - left
            observation = np.zeros(18)
            observation[:3] = hand
            observation[3] = min(math.sqrt(apart.dot(apart)) / 0.1, 1.0)
            observation[4:7] = position
            observation[7:11] = quaternion
            return observation

    return Lean


class Simulator:
    """Lets one Meta-World environment of a task play many episodes in turn by exchanging their states.

    A state: MuJoCo's state, the positions of bodies and sites in the model (all that a task moves there) and the attributes.
    """

    def __init__(self, task):
        self.env = lean(metaworld.env_dict.ALL_V3_ENVIRONMENTS[environment_name(task)])()
        self.model, self.data = self.env.model, self.env.data
        self.positions = self.model.body_pos, self.model.site_pos  # views
        self.untouched = [positions.copy() for positions in self.positions], dict(vars(self.env))

    def place(self, placement):
        for positions, value in zip(self.positions, placement, strict=True):
            positions[:] = value

    def start(self, goal):
        """Begins an episode with Meta-World's own reset -> (state, placement, attributes, observation [39])."""
        placement, attributes = self.untouched
        self.place(placement)
        self.env.__dict__ = dict(attributes)
        mujoco.mj_resetData(self.model, self.data)
        self.env.set_task(goal)
        observation, _ = self.env.reset()
        state = np.empty(mujoco.mj_stateSize(self.model, STATE))
        mujoco.mj_getState(self.model, self.data, state, STATE)
        return state, [positions.copy() for positions in self.positions], dict(vars(self.env)), observation

    def step(self, state, placement, attributes, action):
        """Takes one step -> (observation [39], reward, success); changes state and attributes in place."""
        self.place(placement)
        mujoco.mj_setState(self.model, self.data, state, STATE)
        self.env.__dict__ = attributes
        observation, reward, _, _, info = self.env.step(action)
        mujoco.mj_getState(self.model, self.data, state, STATE)
        return observation, reward, info["success"]


simulator = functools.cache(Simulator)  # one for each task


@functools.cache
def start(task, seed, goal):
    """Returns the start of an episode, see `Simulator.start`: a function of the task and the goal only. Cached."""
    return simulator(task).start(goal_table(task, seed)[goal])


# Where an observation holds positions: hand, first object, the same one step ago, goal. The centre is about that of the
# workspace. A second object, where a task has none, is at zero and stays there.
CENTRE = np.zeros(39, np.float32)
for first in (0, 4, 18, 22, 36):
    CENTRE[first : first + 3] = 0.0, 0.6, 0.2
UNIT = np.ones(39, np.float32)
for first in (0, 4, 11, 18, 22, 29, 36):
    UNIT[first : first + 3] = 0.1


def scaled(observation):
    """Returns observations [..., 39] with positions in decimetres from the workspace's centre instead of metres from the base.

    In metres a step of the hand moves an input by less than 0.01, which hardly affects a fresh network.
    """
    return (observation - CENTRE) / UNIT


class MetaWorld(Episodes):
    """Steps P x E environments of one task; environment [p, e] plays a goal from the table of seeds[p].

    Nothing is random after the choice of goals: a trajectory depends on (task, seed, goal, actions) only. The reward is the
    raw v2 reward, 0..10; success is 0 or 1. ValueError for an unknown task, an empty population or an episode outside 1..500
    steps.
    """

    obs_dim = 39  # hand and object now (18), the same one step ago (18), goal (3)
    act_dim = 4  # offsets of the hand in x, y, z and force of the gripper, each in [-1, 1]
    goals = GOALS

    def __init__(self, task, seeds, envs, episode):
        super().__init__(task, seeds, envs, episode, HORIZON)
        self.simulator = simulator(task)
        self.episodes = [None] * (len(seeds) * envs)  # row-major over [P, E]: state, placement, attributes

    def batch(self, observations):
        return scaled(super().batch(observations))

    def begin(self, i, seed, goal):
        state, placement, attributes, observation = start(self.task, seed, goal)
        self.episodes[i] = state.copy(), placement, attributes.copy()
        return observation

    def advance(self, i, action):
        return self.simulator.step(*self.episodes[i], action)
