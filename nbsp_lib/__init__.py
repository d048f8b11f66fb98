"""NBSP: neuron-level balance between stability and plasticity in deep reinforcement learning, as a reproducible artifact."""
