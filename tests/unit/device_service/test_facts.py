"""What one fact of a batch replaces of another."""

from datetime import UTC, datetime, timedelta

from device_service.domain import Connector
from device_service.store.statuses import latest

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_status(status: str, reported: datetime | None, connector_id: int = 1) -> Connector:
    return Connector("CP-1", connector_id, status, "NoError", NOW, status_time=reported)


def test_newest_report_of_a_connector_stands() -> None:
    stale = a_status("Charging", NOW - timedelta(hours=1))
    assert latest([a_status("Available", NOW), stale]) == [a_status("Available", NOW)]
    assert latest([stale, a_status("Available", NOW)]) == [a_status("Available", NOW)]


def test_of_two_reports_at_one_time_the_later_one_stands() -> None:
    assert latest([a_status("Preparing", None), a_status("Charging", NOW)]) == [
        a_status("Charging", NOW)
    ]


def test_connectors_do_not_replace_each_other() -> None:
    both = [a_status("Available", NOW, 1), a_status("Charging", NOW, 2)]
    assert latest(both) == both
