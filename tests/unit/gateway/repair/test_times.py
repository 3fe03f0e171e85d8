import pytest

from tests.unit.gateway.repair.repairing import NOW_TEXT, START, STATUS, repair


@pytest.mark.parametrize(
    ("sent", "read", "rule"),
    [
        ("2023-10-19T15:28:07", "2023-10-19T15:28:07Z", "time_without_zone"),
        ("2023-10-19T15:28:07.25", "2023-10-19T15:28:07.25Z", "time_without_zone"),
        ("2023-10-19T15:28:07+02", "2023-10-19T15:28:07+02:00", "time_short_offset"),
        ("2023-10-19T15:28:07-0330", "2023-10-19T15:28:07-03:30", "time_short_offset"),
        ("2023-10-19 15:28:07Z", "2023-10-19T15:28:07Z", "time_spelling"),
        ("2023-10-19T15:28Z", "2023-10-19T15:28:00Z", "time_spelling"),
        ("2023-10-19T15:28:07,5Z", "2023-10-19T15:28:07.5Z", "time_spelling"),
        ("0000-00-00T00:00:00.000Z", NOW_TEXT, "time_replaced"),
        ("yesterday", NOW_TEXT, "time_replaced"),
        ("", NOW_TEXT, "time_replaced"),
    ],
)
def test_a_time_is_repaired(sent: str, read: str, rule: str) -> None:
    repaired = repair("StartTransaction", START | {"timestamp": sent})
    assert repaired.payload["timestamp"] == read
    assert (repaired.rules, repaired.violations) == ((rule,), ())


def test_several_faults_of_one_time_are_repaired_one_after_the_other() -> None:
    repaired = repair("StartTransaction", START | {"timestamp": "2023-10-19 15:28"})
    assert repaired.payload["timestamp"] == "2023-10-19T15:28:00Z"
    assert repaired.rules == ("time_spelling", "time_without_zone")


def test_a_missing_time_is_the_time_of_reception_only_where_it_is_required() -> None:
    start = {name: value for name, value in START.items() if name != "timestamp"}
    assert repair("StartTransaction", start).payload["timestamp"] == NOW_TEXT
    assert "timestamp" not in repair("StatusNotification", STATUS | {"timestamp": ""}).payload
