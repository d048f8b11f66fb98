"""What the value of a setting must be, besides its type: by name, because one name means one thing everywhere."""
from __future__ import annotations

import re

PER_POSITION = ("steps", "mastery")           # settings that may be a list of one value for each position
_SHARE, _POSITIVE = ("in [0, 1]", lambda x: 0 <= x <= 1), ("> 0", lambda x: x > 0)
_VALUES = ("null", "none", "nan", "na", "inf", "infinity", "true", "false", "yes", "no", "on", "off", "y", "n")
LONGEST = 60                # letters of a name: file names are made of a profile's, a sequence's and an arm's, and end at 255


def is_name(text):
    """Whether a text can name a profile, a sequence or an arm: on a command line, in YAML, in a csv file and in paths."""
    return len(text) <= LONGEST and bool(re.fullmatch("[a-z][a-z0-9-]*", text)) and text not in _VALUES


# One name means one thing everywhere, so one table serves all sections and the settings of methods.
RULES = {
    **dict.fromkeys(("root", "here", "out", "checkpoints", "size", "arms_in"), ("filled in", bool)),
    **dict.fromkeys(("steps", "random_steps", "envs", "batch", "repeats", "silence_draws"), _POSITIVE),
    **dict.fromkeys(("actor_lr", "critic_lr", "alpha_lr", "updates_per_step", "frames", "temperature", "moments"), _POSITIVE),
    **dict.fromkeys(("scoring_episodes", "rollout_episodes"), ("in 1..50, one per goal", lambda x: 1 <= x <= 50)),
    "episodes": ("in 3..50, one per goal, so that each of three evaluations has one", lambda x: 3 <= x <= 50),
    "mastery": ("in (0, 1], or null", lambda x: 0 < x <= 1),
    **dict.fromkeys(("gamma", "store", "share", "target_entropy"), _SHARE),
    **dict.fromkeys(("alpha", "replay_every", "noops"), (">= 0", lambda x: x >= 0)),
    **dict.fromkeys(("profile", "arm"), (f"made of at most {LONGEST} of a-z, 0-9 and -, begin with a letter and be no word that "
                                         "YAML or a csv file reads as a value", is_name)),
    "layers": ("a list of widths > 0", lambda x: x and min(x) > 0),
    "tau": ("in (0, 1]", lambda x: 0 < x <= 1), "sticky": ("in [0, 1)", lambda x: 0 <= x < 1),
    "episode": ("in 1..500, Meta-World's limit", lambda x: 1 <= x <= 500),
    "evaluations": (">= 3: R is the mean of the last three", lambda x: x >= 3),
}
