"""The local authorization list (OCPP 1.6 3.5.2, 5.15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulator.times import parse_optional_time


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """What is known of an id tag.

    Attributes:
        accepted: Whether it may charge.
        parent_id_tag: The group it belongs to.
        expiry: When it ends to be accepted; None is never.
    """

    accepted: bool
    parent_id_tag: str | None = None
    expiry: datetime | None = None

    @classmethod
    def of(cls, id_tag_info: Mapping[str, Any]) -> "Authorization":
        """Read an IdTagInfo with snake_case members.

        Raises:
            PropertyConstraintViolationError: Its expiryDate is no time.
        """
        return cls(
            accepted=id_tag_info["status"] == "Accepted",
            parent_id_tag=id_tag_info.get("parent_id_tag"),
            expiry=parse_optional_time(id_tag_info.get("expiry_date")),
        )

    def holds_at(self, now: datetime) -> bool:
        """Tell whether the tag may charge at a time."""
        return self.accepted and (self.expiry is None or now < self.expiry)


class LocalList:
    """Id tags that are known without asking the central system.

    Args:
        longest: LocalAuthListMaxLength.
        longest_update: SendLocalListMaxLength.
    """

    def __init__(self, longest: int, longest_update: int) -> None:
        self._longest, self._longest_update = longest, longest_update
        self.version = 0
        self._entries: dict[str, Authorization] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, id_tag: str) -> Authorization | None:
        """Return what the list says of a tag."""
        return self._entries.get(id_tag.casefold())

    def update(self, kind: str, version: int, entries: Sequence[Mapping[str, Any]]) -> str:
        """Replace or change the list; return the UpdateStatus. A list that fails changes nothing.

        Args:
            kind: The UpdateType.
            version: The version that the list then has.
            entries: AuthorizationData with snake_case members.

        Raises:
            PropertyConstraintViolationError: An expiryDate is no time.
        """
        full = kind == "Full"
        if version <= 0 or len(entries) > self._longest_update or _repeats(entries):
            return "Failed"
        if not full and version <= self.version:
            return "VersionMismatch"
        if full and any(entry.get("id_tag_info") is None for entry in entries):
            return "Failed"  # only a differential update removes tags
        updated = _changed({} if full else self._entries, entries)
        if len(updated) > self._longest:
            return "Failed"
        self._entries, self.version = updated, version
        return "Accepted"


def _repeats(entries: Sequence[Mapping[str, Any]]) -> bool:
    return len({entry["id_tag"].casefold() for entry in entries}) < len(entries)


def _changed(
    present: Mapping[str, Authorization], entries: Sequence[Mapping[str, Any]]
) -> dict[str, Authorization]:
    changed = dict(present)
    for entry in entries:
        key, info = entry["id_tag"].casefold(), entry.get("id_tag_info")
        if info is None:
            changed.pop(key, None)
        else:
            changed[key] = Authorization.of(info)
    return changed
