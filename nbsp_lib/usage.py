"""What `nbsp --help` says. Texts of their own, no docstrings: PYTHONOPTIMIZE=2 removes those."""

from __future__ import annotations

ABOUT = """The command `nbsp`: doctor, plan, run, status, promote, check-method.

A bad name costs one line and exit code 2, never training time."""
# of each command: the first line is its line in `nbsp --help`
TEXTS = {
    "doctor": "Check this installation; exit code 1 if something is broken.",
    "plan": "Runs, hours, memory and disk of what the options ask for, from a few seconds of measuring here.",
    "run": """Train what is missing; finished runs are skipped, stopped ones go on where they stood.

With a bar, one after the other; with --jobs or --backend as processes, each retried once: of this machine, of a Ray
cluster, or as jobs of Slurm. With --minutes it ends when they are over, with everything saved and exit code 75.""",
    "status": "What is done, running (with time left), stalled, failed, stopped (begun, not running) or missing.",
    "promote": """\
Copy finished positions of runs to data/checkpoints, or where their profile ships them; regenerate the tables.

With --from, of whatever stands further in the result folders of another clone, with what was recorded there.""",
    "check-method": """Hold a method to what every method must hold to, on small networks; seconds. path: file.py:Class, \
package.module:Class
or a name of METHODS. Exit code 1 if something does not hold.""",
}
EXAMPLES = {
    "doctor": "nbsp doctor",
    "plan": "nbsp plan --profile laptop --sequence window --arm nbsp fine-tuning",
    "run": "nbsp run --profile laptop --sequence window --arm nbsp fine-tuning --jobs 2",
    "status": "nbsp status --profile laptop",
    "promote": "nbsp promote --profile laptop --sequence window --arm nbsp fine-tuning\n"
    "         nbsp promote --profile laptop --from ../campaign --copy-only",
    "check-method": "nbsp check-method docs/my_method.py:Anchor --set strength=10",
}
