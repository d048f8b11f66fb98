"""Campaigns small enough for tests: a tiny repository, and in place of training a process of milliseconds that obeys orders.

The process takes the locks of its states as training does, and writes into the result folder that its seeds are finished.
Orders of a job, one line an attempt: `fail 3 words`, `kill`, `wait` (until SIGTERM, then saves), `deaf`, `diverge`.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import psutil
import tiny_run
from ruamel.yaml import YAML

from nbsp_lib.campaign.job import Job
from nbsp_lib.runs.run import Run
from nbsp_lib.runs.settings import load_profile
from nbsp_lib.runs.strict import read_yaml

ROOT = Path(__file__).resolve().parents[1]
GRID = {
    "sequences": ["window"],
    "train": ["fine-tuning", "nbsp"],
    "arms": ["nbsp"],
    "references": ["window-close"],
    "alone": ["fine-tuning"],
    "neurons": [],
    "causes": [],
    "learn": [],
}
WORKER = r"""
import fcntl, json, os, pathlib, signal, sys, time
job = json.loads(sys.argv[1])
def note(word):
    with open("events", "a") as file:
        file.write(f"{word} {job['name']} {os.getpid()} {time.monotonic()}\n")
def save(number, frame):
    note("saved")
    os._exit(128 + number)
locks = []
for folder in job["folders"]:
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    locks.append(open(folder + "/lock", "w"))
    try:
        fcntl.flock(locks[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(75)
signal.signal(signal.SIGTERM, save)
path = pathlib.Path(job["out"]) / "run.json"
if path.exists() and all(str(seed) in json.loads(path.read_text())["finished"] for seed in job["seeds"]):
    sys.exit()
note("begun")
orders = pathlib.Path("orders-" + job["name"])
lines = orders.read_text().splitlines() if orders.exists() else []
orders.write_text("\n".join(lines[1:]))
order, *words = (lines or ["train"])[0].split(" ", 2)
if order == "fail":
    print("first\n" + words[1], file=sys.stderr)
    sys.exit(int(words[0]))
if order == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if order == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("deaf")
if order in ("wait", "deaf"):
    time.sleep(60)
time.sleep(0.15)
with open("shipping", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    path.parent.mkdir(parents=True, exist_ok=True)
    run = json.loads(path.read_text()) if path.exists() else {"config_hash": job["hash"], "finished": {}, "diverged": []}
    run["finished"] |= {str(seed): job["positions"] for seed in job["seeds"]}
    if order == "diverge":
        run |= {"diverged": job["seeds"], "finished": {str(seed): 1 for seed in job["seeds"]}}
    part = path.with_name("run.part")
    part.write_text(json.dumps(run))
    part.rename(path)
note("ended")
"""


def profiles_in(folder, train):
    """Writes the profiles of a repository into `folder`: the shipped one, and a tiny one with the settings `train`, called laptop
    as the options' default is."""
    document, shared = (read_yaml(ROOT / name) for name in ("profiles/smoke/params.yaml", "params.yaml"))
    document |= {
        "profile": "laptop",
        "here": "profiles/laptop/params.yaml",
        "out": "runs/laptop",
        "grid": GRID,
        "checkpoints": "runs/laptop/checkpoints",
    }
    shared["sizes"]["smoke"]["train"] |= train
    (folder / "profiles/laptop").mkdir(parents=True)
    for made, path in ((document, "profiles/laptop/params.yaml"), (shared, "params.yaml")):
        with open(folder / path, "w") as file:
            YAML(typ="safe", pure=True).dump(made, file)


def workplace(folder, **train):
    """A repository with one tiny profile and the notebook of training -> Profile."""
    profiles_in(folder, tiny_run.SMALL | {"layers": [16, 16]} | train)
    (folder / "notebooks/pipeline").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks/pipeline/train.py", folder / "notebooks/pipeline")
    (folder / "dvc.yaml").write_text("stages: {}\n")  # where a notebook finds the root of the repository
    return load_profile(folder / "profiles/laptop/params.yaml")


def command(job):
    """In place of jobs.Job.command: WORKER."""
    about = {
        "name": f"{job.run.arm}-{'-'.join(map(str, job.seeds))}",
        "seeds": list(job.seeds),
        "positions": 4,
        "folders": [str(state.folder) for state in job.states()],
        "out": str(job.run.folder),
        "hash": job.run.config_hash,
    }
    return sys.executable, "-c", WORKER, json.dumps(about)


def job(profile, arm, *seeds):
    """The job of some seeds of an arm on the sequence window."""
    return Job(Run(profile, "window", arm), seeds)


def obedient(monkeypatch):
    monkeypatch.setattr(Job, "command", property(command))


def order(name, *lines):
    Path(f"orders-{name}").write_text("\n".join(lines))


def events():
    """[(word, job, pid, time)] of all processes so far, whole lines only."""
    text = Path("events").read_text() if Path("events").exists() else ""
    return [(word, job, int(pid), float(when)) for word, job, pid, when in (line.split() for line in text.splitlines())]


def until(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value


def family(folder):
    """Pids of the living processes, other than this one, that work in `folder`."""
    found = []
    for each in psutil.process_iter(["pid", "status"]):
        try:
            if (
                each.info["status"] != psutil.STATUS_ZOMBIE
                and each.pid != psutil.Process().pid
                and Path(each.cwd()) == folder
            ):
                found.append(each.pid)
        except (psutil.Error, OSError):
            pass
    return found
