"""The rules of sessions."""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from session_service.domain.facts import (
    AuthorizationStatus,
    IdTagInfo,
    Receipt,
    Start,
    StartKey,
    Stop,
    TagCheck,
    reservation_id,
)
from session_service.domain.registers import Reading
from session_service.domain.sessions import Session, SessionState

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACCEPTED = IdTagInfo(AuthorizationStatus.ACCEPTED, parent="GROUP")


def a_session(**values: Any) -> Session:
    session = Session(
        id=uuid.UUID(int=1),
        transaction_id=7,
        charge_point_id="CP-1",
        connector_id=1,
        id_tag="CARD",
        id_tag_info=ACCEPTED,
        start_time=NOON,
        start_time_reported=True,
        start_receive_time=NOON,
        meter_start=1000,
        reservation_id=None,
        create_time=NOON,
    )
    return dataclasses.replace(session, **values)


def a_stop(**values: Any) -> Stop:
    stop = Stop(
        charge_point_id="CP-1",
        transaction_id=7,
        meter_stop=1500,
        receipt=Receipt(NOON + timedelta(hours=2)),
        digest=uuid.UUID(int=2),
        raw_text=str,
        message=bytes,
        time=NOON + timedelta(hours=1),
    )
    return dataclasses.replace(stop, **values)


def a_start(limit: int, info: IdTagInfo = ACCEPTED, **values: Any) -> Start:
    key = StartKey("CP-1", 1, "CARD", 0, values.get("time", NOON))
    receipt = values.get("receipt", Receipt(NOON))
    return Start(uuid.UUID(int=1), key, None, receipt, NOON, TagCheck(info, limit))


@pytest.mark.parametrize(
    ("limit", "running", "status"),
    [(0, 99, "Accepted"), (2, 1, "Accepted"), (2, 2, "ConcurrentTx"), (2, 3, "ConcurrentTx")],
)
def test_limit_of_a_tag_is_a_limit_of_running_sessions(
    limit: int, running: int, status: str
) -> None:
    info = a_start(limit).answered(running)
    assert (info.status.value, info.parent) == (status, "GROUP")


def test_refused_tag_stays_refused_beyond_its_limit() -> None:
    blocked = IdTagInfo(AuthorizationStatus.BLOCKED)
    assert a_start(1, blocked).answered(5) == blocked


def test_stop_ends_a_session_with_the_energy_between_the_registers() -> None:
    session = a_session().stopped(a_stop(reason="Local", id_tag="CARD"))
    assert (session.state, session.energy_wh, session.flags) == (SessionState.COMPLETED, 500, ())
    assert session.end is not None
    assert (session.end.time, session.end.receive_time) == (
        NOON + timedelta(hours=1),
        NOON + timedelta(hours=2),
    )


def test_stop_without_a_time_ends_when_it_was_received() -> None:
    session = a_session().stopped(a_stop(time=None))
    assert session.end is not None
    assert session.end.time == session.end.receive_time
    assert session.flags == ("STOP_TIME_UNKNOWN",)


@pytest.mark.parametrize(
    ("ahead", "flags"),
    [(timedelta(minutes=5), ()), (timedelta(minutes=5, seconds=1), ("STOP_IN_FUTURE",))],
)
def test_stop_that_is_dated_after_its_receipt_is_doubtful(
    ahead: timedelta, flags: tuple[str, ...]
) -> None:
    stop = a_stop(time=a_stop().receipt.time + ahead)
    assert a_session().stopped(stop).flags == flags


def test_flags_of_start_and_stop_add_up_without_repeats() -> None:
    receipt = Receipt(NOON + timedelta(hours=1), ("fractional_register_rounded",), "[]")
    assert a_start(0, receipt=receipt).flags == ("START_REPAIRED", "METER_REPAIRED")
    session = a_session(flags=("START_REPAIRED", "METER_REPAIRED"))
    assert session.stopped(a_stop(receipt=receipt)).flags == (
        "START_REPAIRED",
        "METER_REPAIRED",
        "STOP_REPAIRED",
    )


def test_missing_tag_or_transaction_is_no_doubt_about_the_register() -> None:
    receipt = Receipt(NOON, ("member_defaulted",), "[]")
    assert a_start(0, receipt=receipt).flags == ("START_REPAIRED",)


def test_empty_lists_are_no_doubt() -> None:
    receipt = Receipt(NOON + timedelta(hours=1), ("empty_list_kept", "list_missing"), "[]")
    assert a_session().stopped(a_stop(receipt=receipt)).flags == ()


@pytest.mark.parametrize(
    "change",
    [{"meter_stop": 1}, {"time": NOON}, {"time": None}, {"reason": "Local"}, {"id_tag": ""}],
)
def test_stop_is_a_repeat_only_when_it_says_the_same(change: dict[str, Any]) -> None:
    end = a_session().stopped(a_stop()).end
    assert end is not None
    assert end.is_repeated_by(a_stop(receipt=Receipt(NOON + timedelta(days=1))))
    assert not end.is_repeated_by(a_stop(**change))


def test_stop_without_a_time_repeats_one_without_a_time() -> None:
    end = a_session().stopped(a_stop(time=None)).end
    assert end is not None
    later = a_stop(time=None, receipt=Receipt(NOON + timedelta(days=1)))
    assert end.is_repeated_by(later)


@pytest.mark.parametrize(
    ("register", "energy"), [(None, None), ("1000.4", 0), ("1000.5", 1), ("999", 0)]
)
def test_energy_of_a_running_session(register: str | None, energy: int | None) -> None:
    latest = None if register is None else Reading(NOON, Decimal(register))
    session = a_session(latest=latest)
    assert (session.state, session.energy_wh) == (SessionState.ACTIVE, energy)


@pytest.mark.parametrize(
    ("sent", "meant"), [(0, None), (-1, None), (4294967295, None), (1, 1), (2**31 - 1, 2**31 - 1)]
)
def test_numbers_that_mean_no_reservation(sent: int, meant: int | None) -> None:
    assert reservation_id(sent) == meant


def test_time_is_replaced_only_where_a_rule_put_the_time_of_receipt() -> None:
    received = NOON + timedelta(microseconds=7)
    assert Receipt(received, ("time_replaced",)).has_replaced(NOON)
    assert Receipt(received, ("time_missing",)).has_replaced(NOON)
    assert not Receipt(received, ("time_missing",)).has_replaced(NOON - timedelta(seconds=1))
    assert not Receipt(received, ("enum_case",)).has_replaced(NOON)


@pytest.mark.parametrize(
    ("tag", "parent", "is_doubtful"),
    [
        (None, None, False),
        ("", None, False),
        ("card", None, False),
        ("OTHER", "group", False),
        ("GROUP", None, False),
        ("OTHER", "ELSEWHERE", True),
        ("OTHER", None, True),
    ],
)
def test_stop_by_a_tag_of_another_group_is_doubtful(
    tag: str | None, parent: str | None, is_doubtful: bool
) -> None:
    info = IdTagInfo(AuthorizationStatus.ACCEPTED, parent=parent) if tag else None
    session = a_session().stopped(a_stop(id_tag=tag, id_tag_info=info))
    assert ("STOP_TAG_DIFFERS" in session.flags) is is_doubtful


def test_tag_without_a_group_is_stopped_by_itself_only() -> None:
    alone = a_session(id_tag_info=IdTagInfo(AuthorizationStatus.ACCEPTED))
    other = a_stop(id_tag="OTHER", id_tag_info=IdTagInfo(AuthorizationStatus.ACCEPTED))
    assert "STOP_TAG_DIFFERS" in alone.stopped(other).flags


def test_duration_and_average_power_follow_the_newest_reading_then_the_stop() -> None:
    session = a_session()
    assert (session.duration, session.average_power_w) == (None, None)
    running = a_session(latest=Reading(NOON + timedelta(minutes=30), Decimal(4600)))
    assert (running.duration, running.average_power_w) == (timedelta(minutes=30), 7200)
    stopped = running.stopped(a_stop(meter_stop=12_000))
    assert (stopped.duration, stopped.average_power_w) == (timedelta(hours=1), 11_000)
    backwards = running.stopped(a_stop(time=NOON - timedelta(days=1)))
    assert (backwards.duration, backwards.average_power_w) == (timedelta(0), None)


def test_stop_tells_what_is_odd_about_the_registers_that_were_read() -> None:
    series = [(NOON + timedelta(minutes=at), Decimal(wh)) for at, wh in enumerate((1200, 0, 1400))]
    assert a_session().read(series).stopped(a_stop()).flags == ("METER_DIP",)
    lower = a_session().read(series).stopped(a_stop(meter_stop=1300))
    assert lower.flags == ("METER_STOP_BELOW_READING", "METER_DIP")
    assert a_session().read(series[:1]).stopped(a_stop(meter_stop=1199)).flags == ()


def test_questions_do_not_depend_on_whether_readings_or_the_stop_came_first() -> None:
    series = [(NOON + timedelta(minutes=at), Decimal(wh)) for at, wh in enumerate((1800, 0, 1850))]
    in_time = a_session().read(series).stopped(a_stop())
    assert in_time.flags == ("METER_STOP_BELOW_READING", "METER_DIP")
    assert a_session().stopped(a_stop()).read(series).reviewed().flags == in_time.flags
    assert in_time.read([*series[:1], *series[2:]]).reviewed().flags == in_time.flags[:1]


def test_late_reading_is_not_above_a_stop_that_told_no_register() -> None:
    session = a_session().stopped(a_stop(meter_stop=None))
    assert session.read([(NOON, Decimal(1800))]).reviewed().flags == ("METER_STOP_UNKNOWN",)


def test_running_session_lists_what_its_registers_show_so_far() -> None:
    series = [(NOON, Decimal("1000.5")), (NOON, Decimal("1001.5"))]
    running = a_session(meter_start=1_000_000, flags=("START_REPAIRED",)).read(series)
    assert running.open_questions == ("START_REPAIRED", "METER_UNIT_DOUBTFUL")
    assert running.flags == ("START_REPAIRED",)
    assert running.stopped(a_stop(meter_stop=1_002_000)).open_questions == running.open_questions


@pytest.mark.parametrize(
    ("register", "is_doubtful"), [(1_001_000, False), (1_001_001, True), (2**63 - 1, True)]
)
def test_stop_beyond_what_can_be_charged_in_the_time_is_doubtful(
    register: int, is_doubtful: bool
) -> None:
    stop = a_stop(time=NOON + timedelta(seconds=2), meter_stop=register)
    assert (a_session().stopped(stop).flags == ("METER_SPIKE",)) is is_doubtful


@pytest.mark.parametrize(
    ("raw_frame", "is_repaired"),
    [
        ('[2,"1","StopTransaction",{"transactionId":"7","meterStop": 1500}]', False),
        ('[2,"1","StopTransaction",{"transactionId":7,"meterStop":"1500"}]', True),
        ("cut off", True),
    ],
)
def test_text_that_was_read_as_a_number_is_a_doubt_only_in_the_place_of_a_register(
    raw_frame: str, is_repaired: bool
) -> None:
    assert Receipt(NOON, ("text_as_number",), raw_frame).is_meter_repaired is is_repaired


def test_energy_of_a_running_session_bridges_the_reset_of_its_register() -> None:
    series = [
        (NOON + timedelta(minutes=at), Decimal(wh))
        for at, wh in enumerate((101_000, 102_000, 0, 10, 20))
    ]
    assert a_session(meter_start=100_000).read(series).energy_wh == 2020


UNREADABLE = Receipt(NOON + timedelta(hours=2), ("register_unreadable",), "[]")


def test_stop_without_a_register_ends_with_what_was_read_last() -> None:
    stop = a_stop(meter_stop=None, receipt=UNREADABLE)
    read = a_session(latest=Reading(NOON, Decimal(1700))).stopped(stop)
    assert (read.energy_wh, read.has_stopped) == (700, True)
    assert read.flags == ("STOP_REPAIRED", "METER_STOP_UNKNOWN")
    assert a_session().stopped(stop).energy_wh == 0


@pytest.mark.parametrize("rule", ["register_unreadable", "register_missing"])
def test_register_is_unknown_where_a_rule_says_so(rule: str) -> None:
    assert Receipt(NOON, ("null_dropped", rule)).is_register_unknown
    assert not Receipt(NOON, ("fractional_register_rounded",)).is_register_unknown


def test_stop_without_a_register_is_repeated_by_one_without() -> None:
    unread = a_stop(meter_stop=None, receipt=UNREADABLE)
    end = a_session(latest=Reading(NOON, Decimal(1500))).stopped(unread).end
    assert end is not None
    assert end.is_repeated_by(unread)
    assert not end.is_repeated_by(a_stop(meter_stop=1500))
    assert not end.is_repeated_by(dataclasses.replace(unread, time=NOON))


def test_register_of_a_stop_that_told_none_follows_what_is_read_later() -> None:
    session = a_session().stopped(a_stop(meter_stop=None, receipt=UNREADABLE))
    assert session.follows_readings
    end = session.end
    assert end is not None
    for register, energy in (("1700", 700), ("900", 0)):
        read = dataclasses.replace(session, latest=Reading(NOON, Decimal(register))).followed()
        assert read.energy_wh == energy
        assert read.end is not None
        assert read.end.time == end.time
    told = dataclasses.replace(session, end=dataclasses.replace(end, meter_stop=1900))
    lower = dataclasses.replace(told, latest=Reading(NOON, Decimal(1700))).followed()
    assert lower.energy_wh == 900
    assert not a_session().stopped(a_stop()).follows_readings


SERIES = [(NOON + timedelta(minutes=at), Decimal(wh)) for at, wh in enumerate((1200, 1400, 1700))]


def test_start_without_a_register_claims_no_energy_before_its_first_reading() -> None:
    assert a_start(0, receipt=UNREADABLE).flags == ("START_REPAIRED", "METER_START_UNKNOWN")
    unknown = a_session(meter_start=None)
    assert unknown.follows_readings
    assert (unknown.energy_wh, unknown.read([]).energy_wh) == (None, None)
    assert unknown.read(SERIES[:1]).energy_wh == 0
    read = unknown.read(SERIES)
    assert (read.meter_start, read.energy_wh, read.follows_readings) == (1200, 500, True)
    assert unknown.begun_at(SERIES[1:]).read(SERIES[2:]).energy_wh == 300
    assert a_session().begun_at(SERIES).meter_start == 1000


def test_stop_of_a_start_without_a_register_claims_what_is_known() -> None:
    unknown = a_session(meter_start=None)
    read = unknown.read(SERIES).stopped(a_stop(meter_stop=2200))
    assert (read.energy_wh, read.flags) == (1000, ())
    nothing = unknown.stopped(a_stop(meter_stop=2200))
    assert (nothing.energy_wh, nothing.flags, nothing.follows_readings) == (None, (), True)
    assert nothing.read(SERIES).followed().energy_wh == 1000
    beyond = [*SERIES, (NOON + timedelta(hours=9), Decimal(2300))]
    assert nothing.read(beyond).followed().end == nothing.end
    neither = unknown.stopped(a_stop(meter_stop=None, receipt=UNREADABLE))
    assert (neither.energy_wh, neither.read(SERIES).followed().energy_wh) == (None, 500)


def test_register_that_no_meter_has_is_no_begin() -> None:
    absurd = [(NOON, Decimal(2**64)), *SERIES]
    assert a_session(meter_start=None).read(absurd).meter_start == 1200
    assert a_session(meter_start=None).read(absurd[:1]).energy_wh is None
