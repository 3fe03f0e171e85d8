"""Which fields an update changes (AIP-134, AIP-161)."""

from collections.abc import Sequence

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from servicekit.parsing import Parsing


def fields_to_change(
    field: Parsing, resource: Message, mask: FieldMask | None, mutable: Sequence[str]
) -> list[str]:
    """Return the names of the fields that an update changes, and note violations.

    Args:
        field: Collects the violations.
        resource: The message with the new values.
        mask: The request's update mask; None when it brought none: the fields that are set change.
        mutable: The fields that operators may set.
    """
    if mask is None:
        return [item.name for item, _ in resource.ListFields() if item.name in mutable]
    if list(mask.paths) == ["*"]:
        return list(mutable)
    for path in mask.paths:
        if path not in mutable:
            field.refuse("update_mask", f"{path!r} cannot be changed; {', '.join(mutable)} can")
    return [path for path in mask.paths if path in mutable]
