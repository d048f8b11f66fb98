"""Film strips and loops of shipped agents: MUJOCO_GL=egl python -m nbsp_lib.teaching.film

Writes docs/films/film-window-open-*.png, the same episode as a loop (.gif) and a json beside both that says whose they are. Needs
a renderer (MUJOCO_GL=egl with a graphics driver, or osmesa with the Debian package libosmesa6); nothing else in the project does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from nbsp_lib import RENDERER

os.environ.pop("MUJOCO_GL", None)  # "disable" everywhere else; MuJoCo reads it when it is imported
os.environ.update(RENDERER)

import cv2
import mujoco
import numpy as np
import torch
from PIL import Image

from nbsp_lib.envs.metaworld import STATE, MetaWorld
from nbsp_lib.runs.files import enter_repository
from nbsp_lib.runs.state import load_agent
from nbsp_lib.training.rollout import WAVE

FILMS = {  # name: (arm, position): the same seed and goal in all of them
    "learned": ("fine-tuning", 1, "learned: after window-open"),
    "forgotten": ("fine-tuning", 2, "forgotten: after window-close was learned too"),
    "nbsp": ("nbsp", 2, "with NBSP: after window-close was learned too"),
}
SEED, GOAL, EPISODE, FRAMES, SIDE = 0, 2, 200, 8, (180, 240)
EVERY, SHOWN, HELD, COLOURS, EDGE = (
    5,
    80,
    1200,
    40,
    4,
)  # loop: steps and ms a picture, ms the last one, pixels of the edge
GREEN = (2, 158, 115)


@torch.no_grad()
def pictures(agent, method, task, seed, goal, steps, episode=EPISODE):
    """Pictures [len(steps), H, W, 3] uint8 of one of the WAVE episodes of evaluate.rollout, and success at each step [T]."""
    env = MetaWorld(task, (seed,), WAVE, episode)
    obs, found, success = torch.from_numpy(env.reset(np.arange(WAVE)[None])), [], []
    simulator, height, width = env.simulator, *SIDE
    with mujoco.Renderer(simulator.model, height, width) as renderer:
        for t in range(episode):
            if t in steps:
                simulator.place(env.episodes[goal][1])
                mujoco.mj_setState(simulator.model, simulator.data, env.episodes[goal][0], STATE)
                mujoco.mj_forward(simulator.model, simulator.data)
                renderer.update_scene(simulator.data, camera="corner")
                found.append(np.rot90(renderer.render(), 2))  # Meta-World's cameras stand on their head
            action, _, _ = agent.head.act(method, agent.actor, agent.actor.params, obs, None)
            next_obs, _, reached = env.step(action.numpy())
            obs = torch.from_numpy(next_obs)
            success.append(float(reached[0, goal]))
    return np.stack(found), np.array(success)


def loop(path, seen, reached):
    """A GIF that repeats: pictures [N, H, W, 3], those with the goal reached [N] in a green edge."""
    seen = seen.copy()
    inner = seen[:, EDGE:-EDGE, EDGE:-EDGE].copy()
    seen[reached] = GREEN
    seen[:, EDGE:-EDGE, EDGE:-EDGE] = inner
    palette = Image.fromarray(np.vstack(seen[::4])).quantize(COLOURS, dither=Image.Dither.NONE)
    first, *others = [Image.fromarray(each).quantize(palette=palette, dither=Image.Dither.NONE) for each in seen]
    first.save(
        path, save_all=True, append_images=others, duration=[SHOWN] * len(others) + [HELD], loop=0, optimize=False
    )


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m nbsp_lib.teaching.film",
        description="Film strips of shipped agents.",
        epilog="example: MUJOCO_GL=egl python -m nbsp_lib.teaching.film",
    )
    parser.add_argument("--out", type=Path, default=Path("docs/films"), help="folder (default docs/films)")
    options = parser.parse_args(argv)
    enter_repository()
    steps = [round(i * (EPISODE - 1) / (FRAMES - 1)) for i in range(FRAMES)]
    every = sorted({*steps, *range(0, EPISODE, EVERY)})
    strip, film = np.isin(every, steps), np.isin(every, range(0, EPISODE, EVERY))
    for name, (arm, position, told) in FILMS.items():
        folder = f"data/checkpoints/window/{arm}"
        agent, method = load_agent(folder, position, [SEED])
        method.before_task(agent, 0, "evaluate")
        seen, success = pictures(agent, method, "window-open", SEED, GOAL, every)
        path = options.out / f"film-window-open-{name}.png"
        cv2.imwrite(str(path), np.hstack(seen[strip])[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
        loop(path.with_suffix(".gif"), seen[film], success[np.array(every)[film]] > 0)
        about = {
            "folder": folder,
            "position": position,
            "seed": SEED,
            "goal": GOAL,
            "task": "window-open",
            "episode": EPISODE,
            "steps": steps,
            "success_steps": int(success.sum()),
            "caption": told,
            "command": "MUJOCO_GL=egl python -m nbsp_lib.teaching.film",
        }
        path.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")
        print(f"{path}: {told}; goal reached in {int(success.sum())} of {EPISODE} steps")


if __name__ == "__main__":
    sys.exit(main())
