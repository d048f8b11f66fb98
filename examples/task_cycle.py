"""The task cycle under an agent that is not of this project: Meta-World's own scripted expert of window-open."""

from metaworld.policies import ENV_POLICY_MAP

from nbsp_lib.envs.metaworld import CENTRE, UNIT
from nbsp_lib.extras.gym_cycle import TaskCycle


class Expert:
    """Any object with act(observation) will do; this one knows one task of the cycle and never learns another."""

    def __init__(self, task):
        self.policy = ENV_POLICY_MAP[f"{task}-v3"]()

    def act(self, observation):
        return self.policy.get_action(observation * UNIT + CENTRE).clip(-1, 1)  # it expects metres


def play(agent, cycle):
    """Plays the cycle to its end -> [(task of an episode, its return, success at its last step)]."""
    played = []
    while not cycle.over:
        observation, info = cycle.reset(seed=None if played else 0)
        gained, cut = 0.0, False
        while not cut:
            observation, reward, _, cut, info = cycle.step(agent.act(observation))
            gained += reward
        played.append((info["task"], gained, info["success"]))
    return played


if __name__ == "__main__":  # seen: success in 6 of 6 episodes of window-open, in 2 of 6 of window-close
    for episode in play(Expert("window-open"), TaskCycle("window", steps=600, episode=200)):
        print(*episode)
