"""Requests are parsed, not merely checked, and every violation is reported at once.

    with Parsing() as field:
        tag = field("id_tag_id", IdTagText, request.id_tag_id)
        limit = field("id_tag.max_active_transactions", ActiveLimit, request.id_tag.max_…)

Each parser is a value object's constructor or a function; it refuses with `ValueError`. The
violations of all fields leave the block together, as one `InvalidRequest` (AIP-193 `BadRequest`).
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar, cast

from servicekit.errors import InvalidRequest, Violation

Raw = TypeVar("Raw")
Parsed = TypeVar("Parsed")


class Parsing:
    """Collects the violations of one request; leaving the block raises them."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._violations and not isinstance(error, InvalidRequest):
            raise InvalidRequest(self._violations) from None

    def __call__(self, field: str, parse: Callable[[Raw], Parsed], value: Raw) -> Parsed:
        """Return the parsed value, or note the violation.

        After a violation the value returned is None in disguise: nothing may use it before the
        block is left, and leaving the block raises.
        """
        try:
            return parse(value)
        except ValueError as error:
            self.refuse(field, str(error))
            return cast("Parsed", None)

    def refuse(self, field: str, description: str) -> None:
        """Note that a field is wrong, and why."""
        self._violations.append(Violation(field, description))
