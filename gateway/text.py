"""Text of charge points on its way to services."""


def storable(text: str) -> str:
    """Return text that protobuf can carry: half a surrogate pair becomes a question mark."""
    return text.encode(errors="replace").decode()
