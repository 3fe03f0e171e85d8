"""The charge points: who they are, whether they are connected, what they reported."""
