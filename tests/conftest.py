"""What holds for every test: one thread, as in training. With more, the last bit of a product depends on how it is shared."""

import torch

torch.set_num_threads(1)
