from datetime import UTC, datetime
from typing import Any

import pytest
from ocpp.exceptions import PropertyConstraintViolationError

from simulator.local_list import LocalList


def an_entry(id_tag: str, status: str | None = "Accepted", **info: Any) -> dict[str, Any]:
    return {"id_tag": id_tag} | ({"id_tag_info": {"status": status, **info}} if status else {})


def a_list(*id_tags: str) -> LocalList:
    local_list = LocalList(longest=3, longest_update=2)
    assert local_list.update("Full", 1, [an_entry(tag) for tag in id_tags]) == "Accepted"
    return local_list


def test_a_full_update_replaces_everything_at_any_version() -> None:
    local_list = a_list("A", "B")
    assert local_list.update("Full", 1, [an_entry("C", "Blocked")]) == "Accepted"
    assert local_list.get("A") is None
    found = local_list.get("c")
    assert found is not None
    assert not found.accepted


def test_a_differential_update_adds_changes_and_removes() -> None:
    local_list = a_list("A", "B")
    entries = [an_entry("a", None), an_entry("C", parent_id_tag="G")]
    assert local_list.update("Differential", 2, entries) == "Accepted"
    assert local_list.get("A") is None
    found = local_list.get("C")
    assert found is not None
    assert (len(local_list), local_list.version, found.parent_id_tag) == (2, 2, "G")


@pytest.mark.parametrize(
    ("kind", "version", "entries", "status"),
    [
        ("Differential", 1, [an_entry("C")], "VersionMismatch"),
        ("Full", 0, [], "Failed"),
        ("Full", 2, [an_entry("C"), an_entry("c")], "Failed"),
        ("Full", 2, [an_entry("C", None)], "Failed"),
        ("Full", 2, [an_entry(tag) for tag in "CDE"], "Failed"),
        ("Differential", 2, [an_entry("C"), an_entry("D")], "Failed"),
    ],
)
def test_an_update_that_is_refused_changes_nothing(
    kind: str, version: int, entries: list[dict[str, Any]], status: str
) -> None:
    local_list = a_list("A", "B")
    assert local_list.update(kind, version, entries) == status
    assert (local_list.version, len(local_list)) == (1, 2)
    assert local_list.get("A") is not None


def test_an_entry_holds_until_it_expires() -> None:
    local_list = a_list()
    local_list.update("Full", 2, [an_entry("A", expiry_date="2026-01-01T01:00:00+01:00")])
    found = local_list.get("A")
    assert found is not None
    assert not found.holds_at(datetime(2026, 1, 1, tzinfo=UTC))
    assert found.holds_at(datetime(2025, 12, 31, 23, 59, tzinfo=UTC))


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(PropertyConstraintViolationError):
        a_list().update("Full", 2, [an_entry("A", expiry_date="soon")])
