"""NBSP: neuron-level balance between stability and plasticity in deep reinforcement learning, as a reproducible artifact.

A folder says what may change a number. Imports go down this list only.

    cli          the command `nbsp`
    teaching     what the notebooks that teach show: training that is watched, an explorer of neurons, films
    campaign     starts many runs: engine, backends (this machine, Ray, Slurm), plan, status, promotion
    artifact     executes notebooks, builds the report, compares tables with the expected ones, checks an installation
    results      reads result folders, makes tables and figures, judges the paper's claims
    extras       parts for other projects: masks on any torch network, the task cycle for gymnasium
    runs         one run from its settings to its result folder; keeps it safe while it trains
    training     the task cycle: rounds of play and updates, rollouts, the switch of tasks, what is measured
    methods      one file for each continual-learning method, a few hooks each
    envs         Meta-World, the DeepMind Control Suite and Atari behind one batched step
    core         the learner: networks, SAC, replay, neuron scores; read it with the paper
    errors       the errors that a user may see

core, envs and training, with the files of a method, decide the numbers of a run: they are its fingerprint (runs/fingerprint.py).
"""

import os

# What the user chose to draw the simulation with. Only nbsp_lib.teaching.film draws it, and takes this. Everything else imports
# MuJoCo without a renderer: MuJoCo looks for it as soon as it is imported, and the import fails where it is not installed.
RENDERER = {name: os.environ.pop(name) for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM") if name in os.environ}
os.environ["MUJOCO_GL"] = "disable"
