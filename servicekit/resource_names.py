"""Resource names (AIP-122): `chargePoints/CP-1/connectors/1` on the outside, ids on the inside."""


def resource_id(name: str, collection: str) -> str:
    """Return the id in `{collection}/{id}`.

    Raises:
        ValueError: The name has another shape.
    """
    prefix, slash, identifier = name.partition("/")
    if prefix != collection or not slash or not identifier or "/" in identifier:
        raise ValueError(f"must be a name like {collection}/…")
    return identifier


def child_ids(name: str, parent: str, child: str) -> tuple[str, str]:
    """Return both ids in `{parent}/{id}/{child}/{id}`.

    Raises:
        ValueError: The name has another shape.
    """
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != parent or parts[2] != child or not all(parts):
        raise ValueError(f"must be a name like {parent}/…/{child}/…")
    return parts[1], parts[3]
