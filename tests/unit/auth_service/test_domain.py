"""Id tags: which texts are tags, and when a tag may charge."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auth_service.domain import (
    AuthorizationStatus,
    IdTag,
    IdTagText,
    active_limit,
    authorize,
    display_name,
    id_tag_text,
)

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def a_tag(**values: Any) -> IdTag:
    return IdTag(IdTagText("TAG"), create_time=NOW, update_time=NOW, etag="1", **values)


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        (None, AuthorizationStatus.INVALID),
        (a_tag(), AuthorizationStatus.ACCEPTED),
        (a_tag(expire_time=NOW + SECOND), AuthorizationStatus.ACCEPTED),
        (a_tag(expire_time=NOW), AuthorizationStatus.EXPIRED),
        (a_tag(expire_time=NOW - SECOND), AuthorizationStatus.EXPIRED),
        (a_tag(blocked=True), AuthorizationStatus.BLOCKED),
        (a_tag(blocked=True, expire_time=NOW - SECOND), AuthorizationStatus.BLOCKED),
    ],
)
def test_a_tag_is_judged(tag: IdTag | None, status: AuthorizationStatus) -> None:
    assert authorize(tag, NOW).status is status


def test_a_judgement_tells_group_expiry_and_limit() -> None:
    tag = a_tag(parent=IdTagText("GROUP"), expire_time=NOW + SECOND, max_active_transactions=2)
    told = authorize(tag, NOW)
    assert (told.parent, told.expire_time, told.max_active_transactions) == (
        "GROUP",
        NOW + SECOND,
        2,
    )


@pytest.mark.parametrize("text", ["A", "x" * 20, "with blank", "#?%:-_.*"])
def test_a_text_is_a_tag(text: str) -> None:
    assert id_tag_text(text) == text


@pytest.mark.parametrize("text", ["", "x" * 21, "a/b", "a\tb", "a\0b", "ä", "\N{ELECTRIC PLUG}"])
def test_a_text_is_no_tag(text: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        id_tag_text(text)


@pytest.mark.parametrize("value", [-1, 1001])
def test_a_limit_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match=r"0 .* to 1000"):
        active_limit(value)


@pytest.mark.parametrize("value", [0, 1, 1000])
def test_a_limit_is_taken(value: int) -> None:
    assert active_limit(value) == value


@pytest.mark.parametrize("value", ["x" * 201, "line\nbreak"])
def test_a_display_name_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="200 printable"):
        display_name(value)
