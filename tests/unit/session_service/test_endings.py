"""Ends that no stop made, and what the true stop makes of them."""

import dataclasses
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from servicekit.errors import InvalidRequest
from session_service.domain.ends import Closing, SessionAlreadyEnded, Source
from session_service.domain.flags import Flag
from session_service.domain.registers import Reading
from session_service.domain.sessions import Session, SessionState
from tests.unit.session_service.test_sessions import NOON, a_session, a_stop

LATER = NOON + timedelta(hours=3)
MINUTE = timedelta(minutes=1)
READ = Reading(NOON + timedelta(minutes=40), Decimal("3200.4"))


def facts(session: Session) -> tuple[object, ...]:
    assert session.end is not None
    return session.end.source, session.end.time, session.end.meter_stop, session.flags


def following(meter_start: int | None = 9000, **values: Any) -> Session:
    start = {"start_time": LATER, "start_receive_time": LATER, "meter_start": meter_start}
    return a_session(**{**start, **values})


def test_next_start_ends_a_session_at_its_last_reading() -> None:
    session = a_session(latest=READ).superseded(following(), LATER)
    assert facts(session) == (Source.INFERRED, READ.time, 3200, ("STOP_MISSING_NEXT_START",))
    assert (session.state, session.energy_wh) == (SessionState.COMPLETED, 2200)


@pytest.mark.parametrize(("meter_start", "meter_stop"), [(9000, 9000), (0, 1000)])
def test_without_a_reading_the_register_of_the_next_start_tells(
    meter_start: int, meter_stop: int
) -> None:
    session = a_session().superseded(following(meter_start), LATER)
    assert facts(session)[:3] == (Source.INFERRED, LATER, meter_stop)


def test_what_was_read_when_the_next_session_had_begun_is_not_counted() -> None:
    series = [(NOON + timedelta(hours=hours), Decimal(wh)) for hours, wh in ((1, 2000), (4, 4000))]
    session = a_session().read(series).superseded(following(), LATER)
    assert facts(session)[1:3] == (NOON + timedelta(hours=1), 2000)
    session = a_session().read(series[1:]).superseded(following(), LATER)
    assert facts(session)[1:3] == (LATER, 9000)


def test_begin_that_was_not_told_is_no_bound_of_readings() -> None:
    series = [(NOON + timedelta(hours=4), Decimal(4000))]
    unknown = following(start_time_reported=False)
    session = a_session().read(series).superseded(unknown, LATER)
    assert facts(session)[1:3] == (NOON + timedelta(hours=4), 4000)


@pytest.mark.parametrize(
    ("values", "is_believed"),
    [
        ({}, True),
        ({"start_receive_time": NOON + timedelta(days=29)}, True),
        ({"start_receive_time": NOON - timedelta(days=99)}, True),
        ({"start_receive_time": NOON + timedelta(days=31)}, False),
        ({"start_time_reported": False}, False),
    ],
)
def test_start_of_a_clock_that_was_not_set_tells_no_order(
    values: dict[str, Any], is_believed: bool
) -> None:
    assert a_session(**values).start_is_believed is is_believed


def test_session_that_is_given_up_without_a_reading_has_no_energy() -> None:
    session = a_session().given_up(Flag.STOP_MISSING_SILENCE, LATER)
    assert facts(session) == (Source.INFERRED, NOON, 1000, ("STOP_MISSING_SILENCE",))
    assert session.energy_wh == 0


def test_reading_before_the_start_moves_no_end_before_it() -> None:
    early = Reading(NOON - timedelta(days=1), Decimal(5))
    session = a_session(latest=early).given_up(Flag.STOP_MISSING_BOOT, LATER)
    assert facts(session)[1:3] == (NOON, 1000)


def test_true_stop_takes_the_place_of_an_inferred_end() -> None:
    inferred = a_session(latest=READ).given_up(Flag.STOP_MISSING_BOOT, LATER)
    assert not inferred.has_stopped
    session = inferred.stopped(a_stop(meter_stop=5000))
    assert facts(session) == (Source.STATION, a_stop().time, 5000, ("END_CORRECTED",))
    assert session.has_stopped


def test_inferred_end_follows_later_readings_only() -> None:
    inferred = a_session(latest=READ).given_up(Flag.STOP_MISSING_BOOT, LATER)
    assert inferred.followed() == inferred
    later = Reading(READ.time + timedelta(minutes=1), Decimal(3300))
    moved = dataclasses.replace(inferred, latest=later).followed()
    assert facts(moved)[1:3] == (later.time, 3300)


def test_end_by_the_next_session_follows_no_reading() -> None:
    session = a_session(latest=READ).superseded(following(), LATER)
    later = Reading(LATER + timedelta(minutes=1), Decimal(9001))
    read = dataclasses.replace(session, latest=later)
    assert read.followed() == read


def test_stop_without_a_register_keeps_what_is_known_better() -> None:
    unread = a_stop(meter_stop=None)
    followed = a_session().superseded(following(9000), LATER).stopped(unread)
    assert facts(followed)[1:3] == (a_stop().time, 9000)
    given_up = a_session(latest=READ).given_up(Flag.STOP_MISSING_BOOT, LATER)
    later = dataclasses.replace(given_up, latest=Reading(LATER, Decimal(4000)))
    assert facts(later.stopped(unread))[2] == 4000
    closed = a_session(latest=READ).closed(Closing(None, 2000, "", ""), LATER)
    assert facts(closed.stopped(unread))[2] == 2000
    told = a_session(latest=READ).stopped(a_stop(transaction_id=0, meter_stop=5000))
    assert facts(told.stopped(unread))[2:] == (5000, ("METER_STOP_UNKNOWN",))
    corrected = told.stopped(unread).stopped(a_stop(meter_stop=6000))
    assert facts(corrected)[2:] == (6000, ("END_CORRECTED",))


def test_session_without_a_register_ends_with_what_is_known() -> None:
    unknown = a_session(meter_start=None)
    given_up = unknown.given_up(Flag.STOP_MISSING_SILENCE, LATER)
    assert facts(given_up)[1:3] == (NOON, None)
    assert given_up.energy_wh is None
    superseded = unknown.superseded(following(9000), LATER)
    assert (facts(superseded)[1:3], superseded.energy_wh) == ((LATER, 9000), None)
    assert facts(unknown.superseded(following(None), LATER))[1:3] == (LATER, None)
    assert facts(a_session().superseded(following(None), LATER))[1:3] == (LATER, 1000)
    closed = unknown.closed(Closing(None, None, "", ""), LATER)
    assert facts(closed)[1:3] == (LATER, None)
    assert not unknown.may_have_ended_by(a_stop())


def test_operator_closes_with_what_is_known_or_with_what_they_say() -> None:
    session = a_session(latest=READ).closed(Closing(None, None, "broken", "me"), LATER)
    assert facts(session) == (Source.OPERATOR, READ.time, 3200, ())
    closing = Closing(NOON + timedelta(hours=1), 4000, "", "")
    assert facts(session.closed(closing, LATER))[:3] == (Source.OPERATOR, closing.time, 4000)
    assert facts(a_session().closed(Closing(None, None, "", ""), LATER))[1:3] == (LATER, 1000)


def test_operator_who_says_the_same_again_changes_nothing() -> None:
    told = Closing(NOON + timedelta(hours=1), 4000, "broken", "me")
    for first in (told, Closing(None, None, "", "me")):
        closed = a_session(latest=READ).closed(first, LATER)
        repeat = dataclasses.replace(first, closed_by="somebody else")
        assert closed.closed(repeat, LATER + timedelta(hours=1)) == closed


def test_what_an_operator_leaves_out_stays_as_it_is() -> None:
    before = a_session().superseded(following(9000), LATER)
    closed = before.closed(Closing(None, None, "checked", "me"), LATER + timedelta(hours=1))
    assert facts(closed)[:3] == (Source.OPERATOR, LATER, 9000)
    again = closed.closed(Closing(None, 8000, "", "you"), LATER + timedelta(hours=2))
    assert facts(again)[:3] == (Source.OPERATOR, LATER, 8000)
    assert again.end is not None
    assert (again.end.comment, again.end.closed_by) == ("checked", "you")
    assert again.end.receive_time == LATER + timedelta(hours=2)


def test_operator_who_closes_an_inferred_end_takes_what_was_read_since() -> None:
    inferred = a_session(latest=READ).given_up(Flag.STOP_MISSING_SILENCE, LATER)
    later = Reading(LATER, Decimal(5000))
    closed = dataclasses.replace(inferred, latest=later).closed(Closing(None, None, "", ""), LATER)
    assert facts(closed)[1:3] == (LATER, 5000)


def test_end_of_a_wrong_stop_does_not_stay_when_an_operator_leaves_it_out() -> None:
    matched = a_session(latest=READ).stopped(a_stop(transaction_id=0, meter_stop=9000))
    closed = matched.closed(Closing(None, None, "", ""), LATER)
    assert facts(closed)[1:3] == (READ.time, 3200)


def test_words_of_an_operator_stay_when_the_true_stop_comes() -> None:
    closed = a_session().closed(Closing(None, None, "burnt down", "me"), LATER)
    end = closed.stopped(a_stop()).end
    assert end is not None
    assert (end.source, end.comment, end.closed_by) == (Source.STATION, "burnt down", "me")


def test_end_is_corrected_by_another_time_or_register_only() -> None:
    stop = a_stop(time=READ.time, meter_stop=3200, reason="EVDisconnected", id_tag="CARD")
    inferred = a_session(latest=READ).superseded(following(), LATER)
    closed = a_session(latest=READ).closed(Closing(None, None, "", ""), LATER)
    for session in (inferred, closed):
        assert session.stopped(stop).flags == ()
        for other in ({"time": READ.time + MINUTE}, {"meter_stop": 3201}):
            corrected = session.stopped(dataclasses.replace(stop, **other))
            assert corrected.flags == ("END_CORRECTED",)


def test_end_that_the_charge_point_told_is_not_closed_again() -> None:
    with pytest.raises(SessionAlreadyEnded):
        a_session().stopped(a_stop()).closed(Closing(None, None, "", ""), LATER)


def test_operator_hears_all_that_is_wrong_with_an_end() -> None:
    closing = Closing(NOON - timedelta(seconds=1), 999, "", "")
    with pytest.raises(InvalidRequest) as refused:
        a_session().closed(closing, LATER)
    assert [it.field for it in refused.value.violations] == ["stop_time", "meter_stop_wh"]


def test_end_in_the_future_is_refused() -> None:
    for moment in (timedelta(microseconds=1), timedelta(days=365)):
        with pytest.raises(InvalidRequest) as refused:
            a_session().closed(Closing(LATER + moment, 4000, "", ""), LATER)
        assert [it.field for it in refused.value.violations] == ["stop_time"]
    ahead = Reading(LATER + timedelta(days=1), Decimal(3000))
    session = a_session(latest=ahead).closed(Closing(None, None, "", ""), LATER)
    assert facts(session)[1:3] == (ahead.time, 3000)
    assert facts(a_session().closed(Closing(LATER, 4000, "", ""), LATER))[1] == LATER


def test_what_was_read_from_a_time_on_can_be_left_out() -> None:
    series = [(NOON + timedelta(minutes=at), Decimal(1000 + at)) for at in (1, 2, 3)]
    session = a_session().read(series).read_before(series[1][0])
    assert (session.series, session.energy_wh) == (series[:1], 1)
    assert session.read_before(NOON).latest is None


def test_stop_that_was_matched_gives_way_to_the_one_that_names_the_transaction() -> None:
    matched = a_session().stopped(a_stop(transaction_id=-1))
    assert (matched.flags, matched.has_stopped) == (("STOP_MATCHED",), False)
    assert matched.stopped(a_stop()).flags == ()
    assert matched.stopped(a_stop(meter_stop=9999)).flags == ("END_CORRECTED",)


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"id_tag": "card"}, True),
        ({"id_tag": "OTHER"}, False),
        ({"meter_stop": 999}, False),
        ({"meter_stop": None}, False),
        ({"time": NOON}, False),
        ({"time": None}, True),
    ],
)
def test_stop_fits_a_session_by_tag_time_and_register(
    change: dict[str, object], fits: bool
) -> None:
    assert a_session().may_have_ended_by(a_stop(**change)) is fits
