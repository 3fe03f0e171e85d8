from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.reservations import WHOLE, Reservation, Reservations

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def a_reservation(number: int = 1, connector_id: int = 1, **members: Any) -> Reservation:
    values: dict[str, Any] = {"id_tag": "VIP", "expiry": NOW + timedelta(hours=1)} | members
    return Reservation(id=number, connector_id=connector_id, **values)


def kept(*reservations: Reservation) -> Reservations:
    all_of_them = Reservations()
    for reservation in reservations:
        all_of_them.keep(reservation)
    return all_of_them


def test_it_admits_its_tag_in_any_case_and_members_of_its_group() -> None:
    reservation = a_reservation(parent_id_tag="Group")
    assert reservation.admits("vip", None)
    assert reservation.admits("OTHER", "GROUP")
    assert not reservation.admits("OTHER", None)
    assert not a_reservation().admits("OTHER", "GROUP")


def test_a_reserved_connector_bars_others_only() -> None:
    reservations = kept(a_reservation())
    assert reservations.bar(1, "OTHER", None, free=5)
    assert not reservations.bar(1, "VIP", None, free=0)
    assert not reservations.bar(2, "OTHER", None, free=1)


def test_one_of_the_whole_bars_the_last_free_connector() -> None:
    reservations = kept(a_reservation(connector_id=WHOLE))
    assert not reservations.bar(1, "OTHER", None, free=2)
    assert reservations.bar(1, "OTHER", None, free=1)
    assert not reservations.bar(1, "VIP", None, free=1)


def test_use_takes_the_one_of_the_connector_first_and_each_once() -> None:
    reservations = kept(a_reservation(1, WHOLE), a_reservation(2, 1))
    used = [reservations.use(1, "VIP", None) for _ in range(3)]
    assert [one and one.id for one in used] == [2, 1, None]


def test_the_same_id_replaces_and_is_cancelled_once() -> None:
    reservations = kept(a_reservation(1, 1), a_reservation(1, 2))
    assert reservations.of(1) == []
    assert reservations.cancel(1)
    assert not reservations.cancel(1)


def test_what_has_ended_is_dropped() -> None:
    ended = a_reservation(2, 2, expiry=NOW)
    reservations = kept(a_reservation(), ended)
    assert reservations.next_expiry() == NOW
    assert reservations.expire(NOW) == [ended]
    assert reservations.of(2) == []
    assert reservations.next_expiry() == NOW + timedelta(hours=1)
