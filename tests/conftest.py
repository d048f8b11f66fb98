"""What holds for every test: one thread, as in training, and one stream that no library closes.

With more threads the last bit of a product depends on how it is shared.
"""

import contextlib
import sys

import torch

torch.set_num_threads(1)

with contextlib.suppress(ImportError):  # it comes with the simulators, which a machine for CUDA tests may lack
    from absl import logging

    # Whoever configures logging anew closes every handler; submitit does, when it is imported. absl's handler then closes its
    # stream unless that is stderr, and in a test it is the file into which pytest captures: every later test would fail.
    logging.get_absl_handler().python_handler.stream = sys.__stderr__
