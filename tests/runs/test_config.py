"""Profiles agree with each other, and whatever is wrong in one is refused in one exact line."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path

import pytest
from dvc.dependency.param import read_param_file
from dvc.fs import LocalFileSystem
from ruamel.yaml import YAML

from nbsp_lib.envs.sequences import SEQUENCES, benchmark_of, distinct, tasks_of
from nbsp_lib.runs.arms import Arm, arm_of
from nbsp_lib.runs.profiles import OWN, SHARED
from nbsp_lib.runs.settings import (
    AtariTrain,
    ConfigError,
    TrainSettings,
    cell,
    check_seeds,
    config_hash,
    load_profile,
)
from nbsp_lib.runs.strict import read_yaml

ROOT = Path(__file__).parents[2]
FILES = {"shipped": ROOT / "params.yaml"} | {
    name: ROOT / f"profiles/{name}/params.yaml" for name in ("smoke", "laptop", "paper")
}
EVERY = {"shipped": ROOT / "params.yaml"} | {
    path.parent.name: path for path in sorted(ROOT.glob("profiles/*/params.yaml"))
}


@pytest.fixture
def profiles():
    return {name: load_profile(path) for name, path in FILES.items()}


def edited(tmp_path, changes):
    """laptop as a profile of one file, with values replaced by dotted key; the value ... removes the key."""
    document = read_yaml(FILES["shipped"]) | read_yaml(FILES["laptop"]) | {"root": ".", "here": "params.yaml"}
    for key, value in changes.items():
        key = f"{SIZE}{key}" if key.startswith(("train.", "atari.", "dmc.")) else key
        *parents, last = key.split(".")
        place = document
        for parent in parents:
            place = place[parent]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(document, file)
    return path


SIZE = "sizes.laptop."
ARM = (
    "made of at most 60 of a-z, 0-9 and -, begin with a letter and be no word that YAML or a csv file reads as a value"
)
BAD = [
    ({"train.stepz": 1}, 'train.stepz: unknown key "stepz", nearest valid name: "steps"'),
    ({"sedes": [0]}, 'sedes: unknown key "sedes", nearest valid name: "seeds"'),
    ({"train.gamma": ...}, "train.gamma: missing"),
    ({"analysis": None}, "analysis: None is a NoneType, expected a mapping"),
    ({"profile": "Lap top"}, f"profile: 'Lap top' must be {ARM}"),
    ({"train.batch": True}, "train.batch: True is a bool, expected int"),
    ({"train.steps": 160000.0}, "train.steps: 160000.0 is a float, expected int"),
    ({"train.actor_lr": "1e-3 "}, "train.actor_lr: '1e-3 ' is a str, expected float"),
    ({"train.actor_lr": 0}, "train.actor_lr: 0.0 must be > 0"),
    ({"train.critic_lr": float("nan")}, "train.critic_lr: nan is not finite"),
    ({"arms.nbsp.reset_adam": 0}, "arms.nbsp.reset_adam: 0 is a int, expected bool"),
    ({"train.layers": [256, 0.5]}, "train.layers[1]: 0.5 is a float, expected int"),
    ({"train.layers": []}, "train.layers: () must be a list of widths > 0"),
    ({"train.goal": "sucess"}, 'train.goal: unknown value "sucess", nearest valid name: "success"'),
    ({"train.store": 1.5}, "train.store: 1.5 must be in [0, 1]"),
    ({"train.episode": 501}, "train.episode: 501 must be in 1..500, Meta-World's limit"),
    (
        {"train.final_episodes": 50},
        'train.final_episodes: unknown key "final_episodes", nearest valid name: "scoring_episodes"',
    ),
    (
        {"train.episodes": 51},
        "train.episodes: 51 must be in 3..50, one per goal, so that each of three evaluations has one",
    ),
    ({"train.mastery": 1.5}, "train.mastery: 1.5 must be in (0, 1], or null"),
    ({"train.mastery": [0.9, 0]}, "train.mastery[1]: 0.0 must be in (0, 1], or null"),
    ({"train.mastery": []}, "train.mastery: an empty list, expected a value for each position"),
    ({"train.steps": [160000, 4800, 8000]}, "train.random_steps: 4800 leaves none of 4800 steps to learn in"),
    ({"train.steps": [160000, 8001]}, "train.steps: 8001 is no multiple of envs * episode = 800"),
    ({"train.steps": [160000, "x"]}, "train.steps[1]: 'x' is a str, expected int"),
    ({"atari.mastery": 0.9}, "atari.mastery: games have no success, expected null"),
    ({"train.evaluations": 2}, "train.evaluations: 2 must be >= 3: R is the mean of the last three"),
    ({"train.evaluations": 201}, "train.evaluations: 201 do not fit into 200 rounds"),
    ({"train.steps": 160001}, "train.steps: 160001 is no multiple of envs * episode = 800"),
    ({"train.random_steps": 5000}, "train.random_steps: 5000 is no multiple of envs * episode = 800"),
    ({"train.random_steps": 160000}, "train.random_steps: 160000 leaves none of 160000 steps to learn in"),
    ({"train.updates_per_step": 0.3}, "train.updates_per_step: times envs is 1.2, must be a whole number >= 1"),
    ({"atari.stepz": 1}, 'atari.stepz: unknown key "stepz", nearest valid name: "steps"'),
    ({"atari.sticky": ...}, "atari.sticky: missing"),
    ({"atari.sticky": 1.0}, "atari.sticky: 1.0 must be in [0, 1)"),
    ({"atari.goal": "success"}, 'atari.goal: unknown value "success", nearest valid name: "return"'),
    ({"atari.observation": "ramm"}, 'atari.observation: unknown value "ramm", nearest valid name: "ram"'),
    ({"atari.target_entropy": 1.1}, "atari.target_entropy: 1.1 must be in [0, 1]"),
    ({"atari.temperature": 0}, "atari.temperature: 0.0 must be > 0"),
    ({"atari.steps": 60001}, "atari.steps: 60001 is no multiple of envs * episode = 1000"),
    (
        {"atari.episodes": 5},
        "atari.episodes: 5 must be at least 6: two games at a time, so that a seed is the same alone",
    ),
    ({"atari.frames": 30}, "atari.frames: 30 leaves none after 30 noops"),
    ({"dmc.goal": "return"}, 'dmc.goal: unknown value "return", nearest valid name: "reward"'),
    (
        {"dmc.goal": "success"},
        'dmc.goal: unknown goal metric (the suite has no success; given here or by train) "success", '
        'nearest valid name: "reward"',
    ),
    (
        {"dmc.goal": ...},
        'dmc.goal: unknown goal metric (the suite has no success; given here or by train) "success", '
        'nearest valid name: "reward"',
    ),
    ({"dmc.episode": 300}, "dmc.steps: 20000 is no multiple of envs * episode = 1200"),
    ({"seeds": [0, 1, 1]}, "seeds: [0, 1, 1] must be distinct integers in 0..4294967295, at least one"),
    ({"seeds": [-1]}, "seeds: [-1] must be distinct integers in 0..4294967295, at least one"),
    ({"seeds": [2**32]}, "seeds: [4294967296] must be distinct integers in 0..4294967295, at least one"),
    (
        {"grid.references": ["pooyan"]},
        'grid.references[0]: of the game "pooyan" no published scores are known '
        '(data/atari_scores.csv), so no table could show it, nearest valid name: "pong"',
    ),
    (
        {"grid.references": ["joust"]},
        'grid.references[0]: unknown sequence or task "joust", nearest valid name: "seaquest"',
    ),
    ({"arms": ["nbsp"]}, "arms: ['nbsp'] is a list, expected a mapping"),
    ({"arms.Frozen": {"method": "nbsp"}}, f"arms.Frozen: 'Frozen' must be {ARM}"),
    ({"arms.null": {"method": "nbsp"}}, f"arms.null: 'null' must be {ARM}"),
    ({"arms.1e3": {"method": "nbsp"}}, f"arms.1e3: '1e3' must be {ARM}"),
    ({"arms.nbsp": None}, "arms.nbsp.method: missing"),
    ({"arms.nbsp.method": "nbps"}, 'arms.nbsp.method: unknown method "nbps", nearest valid name: "nbsp"'),
    ({"arms.nbsp.replay": 5}, 'arms.nbsp.replay: unknown key "replay", nearest valid name: "replay_every"'),
    ({"arms.nbsp.share": 1.2}, "arms.nbsp.share: 1.2 must be in [0, 1]"),
    ({"arms.nbsp.score": "balance"}, 'arms.nbsp.score: unknown value "balance", nearest valid name: "balanced"'),
    ({"arms.nbsp.method": "NBSP"}, 'arms.nbsp.method: unknown method "NBSP", nearest valid name: "nbsp"'),
    ({"arms.nbsp.method": "mine.py"}, "arms.nbsp.method: mine.py is a file, expected mine.py:NameOfTheClass"),
    ({"grid.train": ["Fine_Tuning"]}, 'grid.train[0]: unknown arm "Fine_Tuning", nearest valid name: "fine-tuning"'),
    (
        {"here": "profiles/laptop/params.yaml"},
        'here: "profiles/laptop/params.yaml" does not fit the folder of this file, expected "params.yaml"',
    ),
    (
        {"arms.nbsp.method": "no_such.module:Mine"},
        "arms.nbsp.method: no_such.module cannot be imported: ModuleNotFoundError: No module named 'no_such'",
    ),
    (
        {"arms.nbsp.method": "nbsp_lib.methods.nbsp:Mine"},
        'arms.nbsp.method: nbsp_lib.methods.nbsp has no method class "Mine"; '
        "subclasses of nbsp_lib.core.method.Method in it: NBSP",
    ),
    ({"arms.sac": {"method": "sac", "share": 0}}, 'arms.sac.share: unknown key "share", nearest valid name: "method"'),
    ({"grid.train": ["nbps"]}, 'grid.train[0]: unknown arm "nbps", nearest valid name: "nbsp"'),
    ({"grid.arms": ["nbsp", "nbsp"]}, 'grid.arms[1]: "nbsp" is named twice'),
    ({"grid.sequences": ["wind"]}, 'grid.sequences[0]: unknown sequence or task "wind", nearest valid name: "window"'),
    ({"grid.references": ["window"]}, 'grid.references[0]: "window" is a sequence, expected a single task'),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message for _, message in BAD])
def test_what_is_wrong_is_said_in_one_line(tmp_path, changes, message):
    path = edited(tmp_path, changes)
    with pytest.raises(ConfigError) as error:
        load_profile(path)
    where = SIZE if message.startswith(("train.", "atari.", "dmc.")) else ""
    assert str(error.value) == f"{path}: {where}{message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: 1\nsteps: 2\n", 'line 2: found duplicate key "steps" with value "2" (original value: "1")'),
        ("steps: [1\n", "line 2: expected ',' or ']', but got '<stream end>'"),
        (
            "a: !!python/name:os.getcwd ''\n",
            "line 1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/name:os.getcwd'",
        ),
        ("", "the file holds no mapping"),
        ("- 1\n", "the file holds no mapping"),
        (b"a: \xff\n", "cannot be read: not UTF-8"),
        (None, "cannot be read: No such file or directory"),
        ("day: 2026-13-45\n", "month must be in 1..12"),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_refused(tmp_path, text, message):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{path}: {message}')}$"):
        read_yaml(path)


def test_a_list_that_holds_itself_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("seeds: &all [0, *all]\n")
    with pytest.raises(ConfigError, match=r"^seeds: the list holds itself"):
        check_seeds(read_yaml(path)["seeds"])


def test_yaml_1_2_reads_exponents_as_floats(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("lr: 1e-3\nno: no\neight: 010\n")
    assert read_yaml(path) == {"lr": 0.001, "no": "no", "eight": 10}
    assert load_profile(edited(tmp_path, {"train.critic_lr": 1})).train.critic_lr.hex() == (1.0).hex()
    assert "actor_lr: 1e-3" in FILES["shipped"].read_text()  # the spelling that YAML 1.1 reads as text
    assert load_profile(FILES["laptop"]).train.actor_lr == 0.001


PLACES = {"profile": "x", "here": "profiles/x/params.yaml", "out": "runs/x", "checkpoints": "runs/x/checkpoints"}
NOT_HERE = "does not fit the folder of this file, expected"


def sizes():
    return read_yaml(FILES["shipped"])["sizes"]


def test_a_profile_names_paths_size_grid_and_seeds():
    """What the root's file holds besides is what all share; a profile with arms of its own says where they are."""
    for name, path in EVERY.items():
        document = read_yaml(path)
        more = [*SHARED] if name == "shipped" else ["arms"] if name == "tuning" else []
        assert list(document) == [*OWN, *more]
        assert document["profile"] == name and document["size"] in sizes()
        assert ROOT / document["here"] == path
        assert (path.parent / document["root"]).resolve() == ROOT.resolve()
        assert document["arms_in"] == ("profiles/tuning/params.yaml" if name == "tuning" else "params.yaml")
        assert load_profile(path).arms.keys() == read_yaml(ROOT / document["arms_in"])["arms"].keys()


def test_a_size_names_only_what_differs_from_laptop():
    """Every setting that a size names is another one than it had without; arms of its own have more settings."""
    common = read_yaml(FILES["shipped"])
    base = common["sizes"].pop("laptop")
    assert list(base["train"]) == [field.name for field in dataclasses.fields(TrainSettings)]
    for size_name, size in common["sizes"].items():
        train = base["train"] | size.get("train", {})
        before = {"train": base["train"], "analysis": common["analysis"]}
        before |= {name: train | base[name] for name in ("atari", "dmc")}
        for section, settings in before.items():
            assert all(settings[key] != value for key, value in size.get(section, {}).items()), f"{size_name}.{section}"
        assert all(arm.items() > common["arms"][key].items() for key, arm in size.get("arms", {}).items())
    assert set(common["sizes"]["smoke"]["arms"]) == {"ancl", "cbp", "redo"}  # smoke is so short that they would not act


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "lap"}, 'profiles/x/params.yaml: size: unknown size "lap", nearest valid name: "laptop"'),
        ({"analysis": {}}, "profiles/x/params.yaml: analysis: is read from params.yaml, not from here"),
        ({"arms": {}}, "profiles/x/params.yaml: arms: is read from params.yaml, not from here"),
        ({"root": ".."}, "profiles/params.yaml: cannot be read: No such file or directory"),
        ({"profile": "smoke"}, f'profiles/x/params.yaml: profile: "smoke" {NOT_HERE} "x"'),
        (
            {"here": "profiles/smoke/params.yaml"},
            f'profiles/x/params.yaml: here: "profiles/smoke/params.yaml" {NOT_HERE} "profiles/x/params.yaml"',
        ),
        *(
            ({"out": text}, f'profiles/x/params.yaml: out: "{text}" {NOT_HERE} "runs/x"')
            for text in ("runs/smoke", "runs/x y", "runs/x #2", "/tmp/x", "../x", ".", "data", "-x", "$HOME/x", "~/x")
        ),
        (
            {"checkpoints": "data/checkpoints"},
            f'profiles/x/params.yaml: checkpoints: "data/checkpoints" {NOT_HERE} "runs/x/checkpoints"',
        ),
        ({"arms_in": "arm.yaml"}, "arm.yaml: cannot be read: No such file or directory"),
        ({"sizes.smoke.trian": {}}, 'params.yaml: sizes.smoke.trian: unknown key "trian", nearest valid name: "train"'),
        ({"sizes.smoke.train": [1]}, "params.yaml: sizes.smoke.train: [1] is a list, expected a mapping"),
        (
            {"sizes.smoke.train.gama": 1},
            'params.yaml: sizes.smoke.train.gama: unknown key "gama", nearest valid name: "gamma"',
        ),
        ({"sizes.smoke.arms.cpb": {}}, 'params.yaml: sizes.smoke.arms: unknown arm "cpb", nearest valid name: "cbp"'),
        ({"sizes.laptop": ...}, "params.yaml: sizes.laptop: missing"),
        ({"sizes.laptop.dmc": ...}, "params.yaml: sizes.laptop.dmc: missing"),
        ({"sizes": ...}, "params.yaml: sizes: missing"),
    ],
)
def test_what_is_wrong_is_said_of_the_file_that_holds_it(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    Path("profiles/x").mkdir(parents=True)
    own, shared = read_yaml(FILES["smoke"]) | PLACES, read_yaml(FILES["shipped"])
    for key, value in changes.items():
        *parents, last = key.split(".")
        place = shared if parents or value is ... else own
        for parent in parents:
            place = place[parent]
        place.pop(last) if value is ... else place.update({last: value})
    for document, path in ((own, "profiles/x/params.yaml"), (shared, "params.yaml")):
        with open(path, "w") as file:
            YAML(typ="safe", pure=True).dump(document, file)
    with pytest.raises(ConfigError) as error:
        load_profile("profiles/x/params.yaml")
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("section", "wrong", "near"),
    [("learn", "01_why_does_an_agent_forget.py", "01_why_does_an_agent_forget"), ("causes", "grafts", "graft")],
)
def test_a_notebook_that_is_not_there_is_refused(tmp_path, monkeypatch, section, wrong, near):
    """A profile of a copy that has the notebooks: a stage of it would depend on a file that is not there."""
    monkeypatch.chdir(tmp_path)
    Path("notebooks").symlink_to(ROOT / "notebooks")
    path = edited(tmp_path, {f"grid.{section}": [wrong]})
    with pytest.raises(
        ConfigError, match=re.escape(f'grid.{section}[0]: unknown notebook "{wrong}", nearest valid name: "{near}"')
    ):
        load_profile(path)


def test_every_number_names_its_source():
    text = FILES["shipped"].read_text().split("\nsizes:")[1].split("\narms:")[0]
    lines = [line for line in text.splitlines() if re.match(r" {6}\w+: [^{]", line)]
    assert len(lines) == sum(
        len(settings) for size in sizes().values() for name, settings in size.items() if name != "arms"
    )
    assert all(re.search(r"# (CleanRL|paper \[R\]|ours|Meta-World|Machado|Mnih)", line) for line in lines)


def test_shipped_is_laptop_but_trains_nothing(profiles):
    shipped, laptop = profiles["shipped"], profiles["laptop"]
    assert (shipped.train, shipped.atari, shipped.dmc) == (laptop.train, laptop.atari, laptop.dmc)
    assert shipped.seeds == laptop.seeds and shipped.analysis == laptop.analysis
    assert shipped.grid == dataclasses.replace(
        laptop.grid, train=(), alone=(), causes=shipped.grid.causes, learn=shipped.grid.learn
    )
    assert laptop.grid.train == laptop.grid.arms
    for arm, name in itertools.product(laptop.arms, ("window", "boxing-road-runner", "cartpole")):
        assert cell(shipped, name, arm) == cell(laptop, name, arm)


def test_arms_carry_every_setting(profiles):
    defaults = {
        "share": 0.2,
        "alpha": 0.2,
        "replay_every": 10,
        "score": "paper",
        "mask": "step",
        "actor": True,
        "critic": True,
        "pooled": False,
        "ends": "incoming",
        "output": "free",
        "reset_temperature": True,
        "reset_adam": False,
    }
    arms = profiles["laptop"].arms
    assert arms["nbsp"] == Arm("nbsp", "nbsp", defaults)
    assert arms["fine-tuning"].settings == defaults | {"share": 0.0, "replay_every": 0}
    assert len({config_hash(cell(profiles["laptop"], "window", arm)) for arm in arms}) == len(arms)


def test_every_arm_can_be_named_to_dvc_as_a_parameter():
    """The stages of dvc.yaml depend on "arms.NAME", and DVC takes a point in it for another level."""
    for path in (FILES["shipped"], EVERY["tuning"]):
        arms, fs = read_yaml(path)["arms"], LocalFileSystem()
        read = read_param_file(fs, str(path), [f"arms.{arm}" for arm in arms], flatten=True)
        assert read == {f"arms.{arm}": settings for arm, settings in arms.items()} and arms


@pytest.mark.parametrize(
    "name", ["share-0.05", "1e3", "0x10", "null", "nan", "na", "true", "no", "off", "inf", "2020-01-01", "-a", ""]
)
def test_a_name_that_a_file_would_take_for_something_else_is_no_arm(name):
    with pytest.raises(ConfigError, match=re.escape(f"here: {name!r} must be {ARM}")):
        arm_of(name, {"method": "sac"}, "here")


def test_arms_differ_in_what_their_names_say(profiles):
    """The grids of the questions "how much, in which order?", "at which dose?" and "which end?", setting by setting."""
    arms = {name: arm.settings for name, arm in profiles["laptop"].arms.items()}
    frozen = {"alpha": 0.0, "ends": "both", "replay_every": 0}
    for order, share in itertools.product(("score", "balanced", "random", "activation"), (20, 50, 80)):
        score = "paper" if order == "score" else order
        assert arms[f"freeze-{order}-{share}"] == arms["nbsp"] | frozen | {"score": score, "share": share / 100}
    assert arms["freeze-100"] == arms["nbsp"] | frozen | {"share": 1.0}
    assert arms["protect-active"] == arms["nbsp"] | frozen | {"share": 1.0, "score": "active"}
    for k in (2, 4, 20):
        assert arms[f"nbsp-k{k}"] == arms["nbsp"] | {"replay_every": k}
        assert arms[f"replay-only-k{k}"] == arms["replay-only"] | {"replay_every": k}
    for name, change in {
        "outgoing": {"ends": "outgoing"},
        "both-ends": {"ends": "both"},
        "output-held": {"output": "held"},
        "hidden-frozen": {"share": 1.0, "alpha": 0.0},
    }.items():
        assert arms[name] == arms["nbsp"] | change and arms[f"mask-only-{name}"] == arms["mask-only"] | change
    assert {share: arms[f"share-{share}"]["share"] for share in ("05", "50", "80", "100")} == {
        "05": 0.05,
        "50": 0.5,
        "80": 0.8,
        "100": 1.0,
    }
    assert (arms["er"]["share"], arms["er-10"]["share"]) == (0.5, 0.1)


def test_the_profiles_fit_the_real_methods():
    from nbsp_lib.methods import METHODS

    for path in FILES.values():
        for arm in load_profile(path).arms.values():
            METHODS[arm.method](**arm.settings)


# One other valid value per training setting.
OTHER = {
    "steps": 80000,
    "random_steps": 1600,
    "envs": 2,
    "episode": 100,
    "layers": [64],
    "batch": 64,
    "actor_lr": 3e-4,
    "critic_lr": 3e-4,
    "alpha_lr": 3e-4,
    "gamma": 0.9,
    "tau": 0.01,
    "updates_per_step": 1,
    "store": 0.2,
    "goal": "reward",
    "evaluations": 10,
    "episodes": 40,
    "mastery": 0.9,
    "scoring_episodes": 40,
    "matmul_precision": "medium",
}


def test_the_hash_changes_with_every_setting_of_a_run(tmp_path):
    assert set(OTHER) == {field.name for field in dataclasses.fields(TrainSettings)}
    changes = [{f"train.{name}": value} for name, value in OTHER.items()]
    changes += [{"arms.nbsp.share": 0.3}, {"arms.nbsp.critic": False}, {"arms.nbsp.method": "sac"}, {}]
    hashes = [config_hash(cell(load_profile(edited(tmp_path, change)), "window", "nbsp")) for change in changes]
    hashes.append(config_hash(cell(load_profile(FILES["laptop"]), "drawer", "nbsp")))
    assert len(set(hashes)) == len(hashes)
    assert all(re.fullmatch("[0-9a-f]{16}", found) for found in hashes)


def test_budget_and_mastery_may_be_lists_of_one_for_each_position(tmp_path):
    made = load_profile(edited(tmp_path, {"train.steps": [160000, 64000] * 2, "train.mastery": [0.95, None] * 2}))
    assert cell(made, "window", "nbsp")["train"]["steps"] == [160000, 64000] * 2
    with pytest.raises(ConfigError, match=r"^train.steps: a list of 4 for the 1 positions of window-close$"):
        cell(made, "window-close", "nbsp")


def test_atari_has_settings_of_its_own(tmp_path):
    """They decide the cells of games and of nothing else; a method without a form for images is refused where there are any."""
    laptop = load_profile(FILES["laptop"])
    assert isinstance(laptop.training("boxing-road-runner"), AtariTrain) and laptop.training("window") is laptop.train
    assert laptop.atari.gamma == laptop.train.gamma and laptop.atari.steps != laptop.train.steps
    game, arm = (config_hash(cell(laptop, name, "ewc")) for name in ("boxing-road-runner", "window"))
    for name, value in {
        "sticky": 0.0,
        "noops": 0,
        "frames": 7200,
        "clip_reward": False,
        "life_loss": True,
        "moments": 7,
        "target_entropy": 0.9,
        "temperature": 0.5,
        "steps": 20000,
    }.items():
        other = load_profile(edited(tmp_path, {f"atari.{name}": value}))
        assert (
            config_hash(cell(other, "boxing-road-runner", "ewc")) != game
            and config_hash(cell(other, "window", "ewc")) == arm
        )
    longer = load_profile(edited(tmp_path, {"atari.episode": 600, "atari.random_steps": 2400}))  # a round has no limit
    assert longer.atari.episode == 600
    pixels = load_profile(edited(tmp_path, {"atari.observation": "pixels"}))
    assert cell(pixels, "boxing-road-runner", "nbsp")["train"]["observation"] == "pixels"
    with pytest.raises(ConfigError, match=r"^arm: ewc has no form for images"):
        cell(pixels, "boxing-road-runner", "ewc")


def test_the_hash_ignores_names_seeds_and_spelling(tmp_path):
    laptop = load_profile(FILES["laptop"])
    same = {
        "profile": "other",
        "out": "o",
        "checkpoints": "c",
        "seeds": [7],
        "analysis.repeats": 1,
        "grid.train": [],
        "arms.renamed": {"method": "nbsp", "mask": "step", "share": 0.2},
        "train.gamma": 0.990,
    }
    other = load_profile(edited(tmp_path, same))
    assert config_hash(cell(other, "window", "renamed")) == config_hash(cell(laptop, "window", "nbsp"))
    whole = load_profile(edited(tmp_path, {"arms.nbsp.share": 0, "arms.nbsp.replay_every": 0}))
    assert cell(whole, "window", "nbsp") == cell(laptop, "window", "fine-tuning")


def test_a_cell_is_plain_json(profiles):
    made = cell(profiles["smoke"], "window-close", "nbsp")
    assert json.loads(json.dumps(made)) == made
    assert made["tasks"] == ["window-close"] and set(made) == {"sequence", "tasks", "method", "settings", "train"}
    with pytest.raises(ConfigError, match=r'^arm: unknown arm "nsbp", nearest valid name: "nbsp"$'):
        cell(profiles["smoke"], "window", "nsbp")


def test_sequences_repeat_their_cycle_and_a_task_is_a_sequence_of_one():
    for name, tasks in SEQUENCES.items():
        assert tasks == distinct(tasks) * (1 if name in ("cw10", "window-once", "faucet-once") else 2)
    assert SEQUENCES["window-reversed"] == SEQUENCES["window"][1:] + SEQUENCES["window"][:1]
    assert SEQUENCES["drawer-reversed"] == SEQUENCES["drawer"][1:] + SEQUENCES["drawer"][:1]
    assert tasks_of("window") == ("window-open", "window-close", "window-open", "window-close")
    assert tasks_of("window-close") == ("window-close",)
    assert tasks_of("reach") == ("reach",)  # asks Meta-World
    assert tasks_of("ms-pacman") == ("ms-pacman",)  # asks ALE
    asked = ("reach", "window-open", "ms-pacman", "boxing", "walker-run", "cartpole-balance")
    assert [benchmark_of(task) for task in asked] == ["metaworld", "metaworld", "atari", "atari", "dmc", "dmc"]
    assert distinct(("b", "a", "b")) == ("b", "a")
    with pytest.raises(ConfigError, match=r'^sequence: unknown .* "window-clos", nearest .* "window-close"$'):
        tasks_of("window-clos")
    assert check_seeds([3, 0]) == check_seeds((3, 0)) == (3, 0) and check_seeds([2**32 - 1]) == (2**32 - 1,)


def test_continual_world_is_the_published_one_on_the_tasks_of_meta_world():
    """TASK_SEQS of continualworld/tasks.py in awarelab/continual_world, whose names end in -v2, against -v3 here."""
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    published = """hammer-v2 push-wall-v2 faucet-close-v2 push-back-v2 stick-pull-v2
                   handle-press-side-v2 push-v2 shelf-place-v2 window-close-v2 peg-unplug-side-v2""".split()
    assert [f"{task}-v2" for task in tasks_of("cw10")] == published
    assert [f"{task}-v2" for task in tasks_of("cw20")] == published * 2
    assert {f"{task}-v3" for sequence in ("cw10", "cw20") for task in tasks_of(sequence)} <= set(ALL_V3_ENVIRONMENTS)


def test_smoke_masks_and_replays(profiles):
    train = profiles["smoke"].train
    learning = train.steps - train.random_steps
    assert train.goal == "reward"
    assert learning * train.updates_per_step > profiles["smoke"].arms["nbsp"].settings["replay_every"]
    assert int(0.2 * sum(train.layers)) > 0 and int(train.store * train.steps) > 0
