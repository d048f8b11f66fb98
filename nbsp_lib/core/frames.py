"""Sizes of the pictures of Atari games, in one place; those of Mnih et al. 2015."""

FRAME_SKIP = 4  # frames of the game in one environment step
FRAME_STACK = 4  # newest pictures in one observation
SCREEN = (84, 84)  # height and width of a picture
