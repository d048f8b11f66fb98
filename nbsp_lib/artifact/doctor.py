"""Checks this installation: one line per check, ok, warn or FAIL, with what to do about it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

from packaging.requirements import Requirement

from nbsp_lib.runs.clone import foreign
from nbsp_lib.runs.disk import closed, probe, remedy

ROOT = Path(__file__).resolve().parents[2]
INSTALL = "run `make setup`, or pip install -c requirements.lock -e ."
RENDER = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
data, renderer = mujoco.MjData(model), mujoco.Renderer(model, 16, 16)
renderer.update_scene(data)
assert renderer.render().shape == (16, 16, 3)
"""
SPACE = 2e9  # bytes: the states of one laptop grid


def check_installation():
    """Prints all checks; returns whether none failed. A check yields (grade, text); an exception is a failure."""
    checks = (checkout, packages, files, environments, rendering, learner, storage, kernel, notebooks, shipped)
    whole = True
    for check in checks if (ROOT / "pyproject.toml").is_file() else (library, rendering, learner):
        try:
            for grade, text in check():
                whole &= grade != "FAIL"
                print(f"{grade:4} {text}", flush=True)
        except Exception as error:  # a broken installation may raise anything
            whole = False
            print(
                f"FAIL {check.__name__}: {type(error).__name__}: {' '.join(str(error).split())}; {INSTALL}", flush=True
            )
    print("all is well" if whole else "something is broken, see FAIL above")
    return whole


MODULES = {"opencv-python-headless": "cv2"}  # imported under a name that is not the package's with _ for -


def checkout():
    """The library that runs is that of the clone one stands in."""
    line = foreign()
    yield ("FAIL", line) if line else ("ok", f"the library runs from {ROOT}")


def library():
    """Says what works without a repository, where the library was installed alone."""
    yield (
        "warn",
        (
            f"the library runs from {ROOT}, without its repository: networks, methods and environments work; profiles, "
            "shipped runs, published scores of games (data/atari_scores.csv) and notebooks are in a clone"
        ),
    )


def packages():
    """Python and every dependency are there, within their bounds, and can be imported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = Requirement(f"python{project['requires-python']}").specifier
    yield (
        "ok" if wanted.contains(platform.python_version()) else "FAIL",
        f"Python {platform.python_version()}, wanted {wanted}",
    )
    for wanted in map(Requirement, project["dependencies"]):
        try:
            importlib.import_module(MODULES.get(wanted.name, wanted.name.replace("-", "_")))
            version = importlib.metadata.version(wanted.name)
        except Exception as error:
            yield "FAIL", f"{wanted.name}: {type(error).__name__}: {' '.join(str(error).split())}; {INSTALL}"
            continue
        good = wanted.specifier.contains(version.split("+")[0], prereleases=True)
        yield (
            "ok" if good else "FAIL",
            f"{wanted.name} {version}" + ("" if good else f", wanted {wanted.specifier}; {INSTALL}"),
        )


def files():
    from nbsp_lib.artifact.doctor_written import written

    yield from written(ROOT)


def environments():
    import numpy as np

    from nbsp_lib.envs.benchmark import benchmark
    from nbsp_lib.envs.sequences import SEQUENCES, distinct
    from nbsp_lib.runs.settings import load_profile

    profile = load_profile(ROOT / "params.yaml")
    for sequence, tasks in SEQUENCES.items():
        kind = benchmark(tasks, profile.training(sequence))
        for task in distinct(tasks):
            env = kind.make(task, (0,), 1, 1)
            env.reset(np.zeros((1, 1), int))
            obs, reward, *_ = env.step(np.zeros((1, 1), int) if kind.whole_games else np.zeros((1, 1, env.act_dim)))
            if not (np.isfinite(obs).all() and np.isfinite(reward).all()):
                raise FloatingPointError(f"a step of {task} is not finite")
        yield "ok", f"environments of {sequence}: {', '.join(distinct(tasks))}"


def rendering():
    """Only a warning: no table or figure needs pictures of the simulation."""
    for backend in ("egl", "osmesa"):
        with suppress(subprocess.SubprocessError):
            given = os.environ | {"MUJOCO_GL": backend}
            subprocess.run([sys.executable, "-c", RENDER], env=given, capture_output=True, timeout=60, check=True)
            yield "ok", f"rendering without a screen: MUJOCO_GL={backend}"
            return
    yield "warn", "rendering without a screen: no; only videos need it, install libegl1 or libosmesa6 for them"


def learner():
    """One update: finite, independent of the population around a seed, and the same on a GPU as far as rounding goes."""
    import torch

    both, alone = updated((0, 1), "cpu"), updated((1,), "cpu")
    finite = all(torch.isfinite(t.double()).all() for t in both.values())
    same = all(torch.equal(t[1], alone[k][0]) for k, t in both.items())
    yield (
        ("ok", "an update on the CPU is finite, and the same alone and in a population")
        if finite and same
        else (
            "FAIL",
            f"an update on the CPU: finite {finite}, the same alone and in a population {same}; run `make test`",
        )
    )
    if not torch.cuda.is_available():
        yield "ok", "GPU: none; the profiles smoke and laptop do without"
    else:
        there = updated((0, 1), "cuda")
        far = (
            torch.stack([abs(there[k].cpu() - t).max() / abs(t).max() for k, t in both.items() if ".m." in k])
            .max()
            .item()
        )
        yield (
            "ok" if far < 1e-3 else "FAIL",
            f"GPU: {torch.cuda.get_device_name()}; gradients there differ by {far:.0e} of the largest (at most 1e-03)",
        )


def updated(seeds, device):
    """Tensors of a small agent after one update."""
    import torch

    from nbsp_lib.core.gaussian import Gaussian
    from nbsp_lib.core.method import Method
    from nbsp_lib.core.replay import Replay
    from nbsp_lib.core.sac import make_agent, update_from_rows

    torch.set_num_threads(1)
    settings = SimpleNamespace(layers=(32, 32), gamma=0.99, tau=0.005, actor_lr=1e-3, critic_lr=1e-3, alpha_lr=1e-3)
    agent = make_agent(
        Method(), [torch.Generator().manual_seed(s) for s in seeds], 39, Gaussian(4), ("task",), settings, device
    )
    replay, batch = Replay(len(seeds), 64, 1, 1, 39, 4, device), 32
    drawn = [torch.rand(64, 84, generator=torch.Generator().manual_seed(s)) for s in seeds]
    replay.data[:, :64], replay.seen = torch.stack(drawn).to(device), 64
    rows = torch.arange(batch, device=device).expand(len(seeds), -1)
    noise = torch.stack([torch.randn(2, batch, 4, generator=torch.Generator().manual_seed(s)) for s in seeds], 1).to(
        device
    )
    update_from_rows(agent, replay, rows, rows, {"sac": noise}, Method(), settings)
    return agent.tensors()


def storage():
    free = shutil.disk_usage(".").free
    yield (
        "ok" if free > SPACE else "FAIL",
        f"free disk: {free / 1e9:.1f} GB" + ("" if free > SPACE else "; make room for 2 GB"),
    )
    for name in (".state", "results", "runs"):
        try:
            probe(name)
            if refused := closed(name):
                raise refused
            yield "ok", f"{name} can be written, and has file locks"
        except OSError as error:
            yield "FAIL", remedy(error) or f"{name}: {error}"


def kernel():
    from jupyter_client.kernelspec import KernelSpecManager

    found = KernelSpecManager().get_kernel_spec("python3").argv[0]
    same = "/" not in found or Path(found).parent == Path(sys.executable).parent  # "python": that of the server
    yield (
        ("ok", "Jupyter has the kernel python3")
        if same
        else (
            "warn",
            f"the Jupyter kernel python3 is another Python, {found}; python -m ipykernel install --sys-prefix mends it",
        )
    )


def notebooks():
    """Every notebook equals its .py file: pages are executed from the .py, so edits of the .ipynb would be lost."""
    from nbsp_lib.artifact.pairs import check
    from nbsp_lib.errors import ConfigError

    found = sorted(path for path in (ROOT / "notebooks").rglob("*.py") if ".ipynb_checkpoints" not in path.parts)
    for source in found:
        try:
            check(source)
        except ConfigError as error:
            yield "FAIL", str(error)
    yield "ok", f"{len(found)} notebooks were compared with their pairs"


def shipped():
    from nbsp_lib.errors import Corrupted
    from nbsp_lib.runs.state import read_run

    found = sorted(path for path in Path("data/checkpoints").glob("*/*") if path.is_dir())
    if not found:
        yield (
            "warn",
            "data/checkpoints holds no run, so `make reproduce` has nothing to read; run nbsp in the repository",
        )
    for folder in found:
        try:
            yield "ok", f"{folder}: {len(read_run(folder)['files'])} files are what their checksums say"
        except Corrupted as error:
            yield "FAIL", f"{error}; take {folder} from the repository again"
