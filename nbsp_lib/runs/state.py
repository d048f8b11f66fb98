"""What survives a process: the resumable state of one seed, and the networks that ship. Never pickle.

A seed's state folder holds `state.json`, which names everything else with its sha256 and is replaced last: whatever moment
a process dies at, the folder describes the last complete save.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save

from nbsp_lib.core.nets import Net
from nbsp_lib.core.sac import Agent
from nbsp_lib.envs.benchmark import benchmark
from nbsp_lib.errors import Corrupted
from nbsp_lib.methods import find
from nbsp_lib.runs.disk import lock, naming
from nbsp_lib.runs.files import checked, sha256, write_atomic


class SeedState:
    """The resumable state of one seed of one run: tensors, plain information, and a log of the recent rows.

    The log grows by what was added since the last save, so that saving often stays cheap.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.logged, self.digest = 0, hashlib.sha256()

    @property
    def manifest(self):
        """What the last save said, or None before the first. Corrupted if it is not what was written."""
        path = self.folder / "state.json"
        try:
            manifest = json.loads(path.read_bytes())
            written = manifest.pop("self", None)  # states of before there was a checksum have none
        except FileNotFoundError:
            return None
        except (ValueError, AttributeError, TypeError):
            raise Corrupted(f"{path}: is not JSON; delete {self.folder} to train this seed again") from None
        if written not in (None, self_checksum(manifest)):
            raise Corrupted(
                f"{path}: its checksum differs from the recorded one; delete {self.folder} to train this seed again"
            )
        return manifest

    @property
    def place(self):
        """(positions done, rounds done); (0, −1) before anything was saved."""
        manifest = self.manifest
        return (manifest["position"], manifest["round"]) if manifest else (0, -1)

    @property
    def over(self):
        """Whether the position that it stands at is trained to its end, so that only the switch is missing."""
        return bool((self.manifest or {}).get("over"))

    @property
    def diverged(self):
        return bool((self.manifest or {}).get("diverged"))

    @property
    def serial(self):
        """How often it was saved."""
        return (self.manifest or {}).get("serial", 0)

    def write(self, manifest):
        write_atomic(self.folder / "state.json", json.dumps(manifest | {"self": self_checksum(manifest)}, indent=1))

    @contextlib.contextmanager
    def lock(self, giving_up=lambda: True):
        """Hold this folder: while another process trains here, wait until giving_up(), by default not at all; BlockingIOError
        then. A dead process holds nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as file:
            lock(file, giving_up=giving_up)
            yield

    def save(self, tensors, info, log_from):
        """tensors: name -> tensor; info: plain JSON; log_from(n): the recent rows from number n on, [rows − n, D], a float32
        array. Only those that were not saved yet are asked for."""
        old = self.manifest or {}
        serial = old.get("serial", 0) + 1
        log = f"recent-{info['position']}.bin"
        if old.get("log") != log:
            self.logged, self.digest = 0, hashlib.sha256()
        with naming(self.folder / log), open(self.folder / log, "r+b" if self.logged else "wb") as file:
            rows = log_from(self.logged)
            file.seek(self.logged * rows.shape[1] * 4)
            new = np.ascontiguousarray(rows).tobytes()
            file.write(new)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        self.logged += len(rows)
        self.digest.update(new)
        data, name = save({k: t.contiguous().cpu() for k, t in tensors.items()}), f"state-{serial}.safetensors"
        write_atomic(self.folder / name, data)
        networks = old.get("networks", {})
        found = self.folder.glob("position*.safetensors")
        networks |= {path.name: sha256(path) for path in found if path.name not in networks}
        manifest = {
            "serial": serial,
            "state": name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "log": log,
            "rows": self.logged,
            "width": rows.shape[1],
            "log_sha256": self.digest.hexdigest(),
            **info,
            "networks": networks,
        }
        self.write(manifest)
        self.tidy(manifest)

    def keep_networks(self, name, data):
        """Write the networks of a finished position beside the state; the next save names them."""
        write_atomic(self.folder / name, data)

    def tidy(self, manifest):
        """Remove what no manifest names any more."""
        for path in [*self.folder.glob("state-*.safetensors"), *self.folder.glob("recent-*.bin")]:
            if path.name not in (manifest["state"], manifest["log"]):
                path.unlink()

    def load(self):
        """-> tensors, manifest, recent rows [n, D] of the last save. Corrupted if a file is not as it was written."""
        manifest = self.manifest
        width = manifest["width"]
        tensors = load(checked(self.folder / manifest["state"], manifest["sha256"]))
        path, size = self.folder / manifest["log"], manifest["rows"] * width * 4
        data = path.read_bytes()[:size] if path.exists() else b""  # beyond `size` lies what a killed save had begun
        self.digest = hashlib.sha256(data)
        if self.digest.hexdigest() != manifest["log_sha256"]:
            raise Corrupted(f"{path}: the checksum differs from the recorded one; the file was damaged or replaced")
        self.logged = manifest["rows"]
        return tensors, manifest, np.frombuffer(data, np.float32).reshape(-1, width).copy()

    def fork(self, source):
        """Become a copy of the state in `source` (a SeedState)."""
        manifest = source.manifest
        for name in (manifest["state"], manifest["log"]):
            shutil.copyfile(source.folder / name, self.folder / name)
        self.write(manifest)

    def mark(self, **entries):
        """Change entries of the manifest; the saved state stays as it is."""
        self.write(self.manifest | entries)


def self_checksum(manifest):
    """sha256 of a manifest, whatever the order of its entries and the layout of its file."""
    return hashlib.sha256(json.dumps(json.loads(json.dumps(manifest)), sort_keys=True).encode()).hexdigest()


def read_run(folder, take=lambda name, data: None):
    """run.json of a result folder, after every file it names has been compared with its sha256. Corrupted otherwise.

    take(name, bytes) is called with each of them.
    """
    folder = Path(folder)
    try:
        run = json.loads((folder / "run.json").read_bytes())
    except (OSError, ValueError) as error:
        raise Corrupted(f"{folder / 'run.json'}: cannot be read: {error}") from None
    for name, digest in run["files"].items():
        take(name, checked(folder / name, digest))
    return run


def load_agent(folder, position, seeds, run=None):
    """-> the agent as it was at the end of `position` (from 1) for `seeds`, and its method: fp32 tensors, no optimiser's past.

    Each file is compared with its sha256 in run.json before it is parsed. Corrupted or KeyError names what is wrong.
    """
    folder, run = Path(folder), run or read_run(folder)
    loaded = []
    for seed in seeds:
        name = f"position{position}.seed{seed}.safetensors"
        if name not in run["files"]:
            raise KeyError(f"{folder}: no {name}; there are {', '.join(sorted(run['files']))}")
        checked(folder / name, run["files"][name])
        try:
            loaded.append(load_file(folder / name))
        except SafetensorError as error:
            raise Corrupted(f"{folder / name}: {error}") from None
    stack = {k: torch.stack([one[k].float() for one in loaded]) for k in loaded[0]}
    part = lambda name: {k.removeprefix(f"{name}."): t for k, t in stack.items() if k.startswith(f"{name}.")}
    nets = {name: Net(name, part(name)) for name in ("actor", "critic") if part(name)}
    P, config = len(seeds), run["config"]
    method = find(config["method"])(**config["settings"])
    method.state = part("method")
    agent = Agent(
        nets["actor"],
        nets.get("critic"),
        {},
        Net("temperature", {"log_alpha": torch.zeros(P, 1, 1, 1)}),
        torch.zeros(P, 1, dtype=torch.long),
        tuple(config["tasks"]),
        benchmark(config["tasks"], config["train"]).head,
    )
    return agent, method
