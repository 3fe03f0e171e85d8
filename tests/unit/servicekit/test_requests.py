"""What requests are made of: fields, names, masks, times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from csms.v1.id_tag_service_pb2 import IdTag
from servicekit.errors import InvalidRequest
from servicekit.field_mask import fields_to_change
from servicekit.parsing import Parsing
from servicekit.resource_names import child_ids, resource_id
from servicekit.timestamps import to_datetime, to_timestamp

MUTABLE = ("display_name", "blocked")


def refuse(_: object) -> str:
    raise ValueError("must be better")


def test_parsed_values_come_back() -> None:
    with Parsing() as field:
        assert field("number", int, "7") == 7


def test_all_violations_leave_together() -> None:
    def parse() -> None:
        with Parsing() as field:
            field("a", refuse, 1)
            field("b", int, "7")
            field("c", refuse, 2)

    with pytest.raises(InvalidRequest) as raised:
        parse()
    assert [(item.field, item.description) for item in raised.value.violations] == [
        ("a", "must be better"),
        ("c", "must be better"),
    ]
    assert "a: must be better; c: must be better" in raised.value.message


def test_violation_explains_the_error_that_its_value_caused() -> None:
    with pytest.raises(InvalidRequest), Parsing() as field:
        field("a", refuse, 1).removeprefix("a")


def test_error_without_a_violation_is_a_defect() -> None:
    with pytest.raises(ZeroDivisionError), Parsing():
        divmod(1, 0)


def test_inner_parsing_speaks_for_itself() -> None:
    def parse() -> None:
        with Parsing() as outer:
            outer.refuse("outer", "wrong")
            with Parsing() as inner:
                inner.refuse("inner", "wrong")

    with pytest.raises(InvalidRequest) as raised:
        parse()
    assert [item.field for item in raised.value.violations] == ["inner"]


def test_resource_id_is_read() -> None:
    assert resource_id("idTags/A b-1", "idTags") == "A b-1"


@pytest.mark.parametrize("name", ["", "idTags", "idTags/", "tags/A", "idTags/A/B", "/idTags/A"])
def test_name_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be a name like idTags/…"):
        resource_id(name, "idTags")


def test_both_ids_of_a_child_are_read() -> None:
    name = "chargePoints/CP-1/connectors/2"
    assert child_ids(name, "chargePoints", "connectors") == ("CP-1", "2")


@pytest.mark.parametrize(
    "name",
    [
        "chargePoints/CP-1",
        "chargePoints//connectors/2",
        "chargePoints/CP-1/connectors/",
        "chargePoints/CP-1/connectors/2/3",
        "a/CP-1/connectors/2",
        "chargePoints/CP-1/a/2",
    ],
)
def test_child_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="connectors"):
        child_ids(name, "chargePoints", "connectors")


def changed(resource: IdTag, mask: FieldMask | None) -> list[str]:
    field = Parsing()
    with field:
        return fields_to_change(field, resource, mask, MUTABLE)


def test_without_a_mask_the_fields_that_are_set_change() -> None:
    resource = IdTag(name="idTags/A", display_name="x", etag="1")
    assert changed(resource, None) == ["display_name"]


def test_star_changes_all_that_may_change() -> None:
    assert changed(IdTag(), FieldMask(paths=["*"])) == list(MUTABLE)


def test_mask_may_clear_a_field() -> None:
    assert changed(IdTag(), FieldMask(paths=["display_name"])) == ["display_name"]


@pytest.mark.parametrize("paths", [["name"], ["blocked", "etag"], ["*", "blocked"], [""]])
def test_path_that_cannot_change_is_refused(paths: list[str]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        changed(IdTag(), FieldMask(paths=paths))
    assert raised.value.violations[0].field == "update_mask"


@pytest.mark.parametrize(
    "time",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_time_survives_the_message(time: datetime) -> None:
    message = to_timestamp(time)
    assert message is not None
    assert to_datetime(message) == time
    assert to_datetime(message).tzinfo is UTC


def test_no_time_is_no_message() -> None:
    assert to_timestamp(None) is None


@pytest.mark.parametrize("seconds", [2**62, -(2**62), 253_402_300_800, -62_135_596_801])
def test_time_beyond_the_calendar_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="years 1 to 9999"):
        to_datetime(Timestamp(seconds=seconds))
