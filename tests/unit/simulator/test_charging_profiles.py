from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator.charging_profiles import WHOLE, ChargingProfiles, charging_schedule
from simulator.schedules import NotAProfile, Profile

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_profile(
    *limits: tuple[int, float],
    number: int = 1,
    purpose: str = "TxDefaultProfile",
    kind: str = "Relative",
    level: int = 0,
    unit: str = "W",
    schedule: dict[str, Any] | None = None,
    **members: Any,
) -> Profile:
    periods = [{"start_period": start, "limit": limit} for start, limit in limits or ((0, 5000),)]
    return Profile.of(
        {
            "charging_profile_id": number,
            "charging_profile_purpose": purpose,
            "charging_profile_kind": kind,
            "stack_level": level,
            "charging_schedule": {
                "charging_rate_unit": unit,
                "charging_schedule_period": periods,
                **(schedule or {}),
            },
            **members,
        }
    )


def profiles(*installed: tuple[int, Profile]) -> ChargingProfiles:
    kept = ChargingProfiles(most=4, highest_level=3, most_periods=3)
    for connector_id, profile in installed:
        assert kept.install(connector_id, profile)
    return kept


def test_without_profiles_there_is_no_limit() -> None:
    assert profiles().limit_w(1, NOW) is None


def test_the_default_gives_way_to_the_transaction_and_the_whole_caps_both() -> None:
    kept = profiles((WHOLE, a_profile((0, 5000))))
    kept.begin(1, NOW)
    assert kept.limit_w(1, NOW) == 5000
    kept.install(1, a_profile((0, 9000), number=2, purpose="TxProfile"))
    assert kept.limit_w(1, NOW) == 9000
    kept.install(WHOLE, a_profile((0, 7000), number=3, purpose="ChargePointMaxProfile"))
    assert kept.limit_w(1, NOW) == 7000
    kept.end(1)
    assert kept.limit_w(1, NOW) == 5000


def test_the_highest_level_counts_and_then_the_connectors_own() -> None:
    kept = profiles((WHOLE, a_profile((0, 1000), level=2)), (1, a_profile((0, 2000), number=2)))
    assert kept.limit_w(1, NOW) == 1000
    kept.install(1, a_profile((0, 3000), number=3, level=2))
    assert (kept.limit_w(1, NOW), kept.limit_w(2, NOW)) == (3000, 1000)


def test_connectors_that_charge_share_what_the_whole_may_draw() -> None:
    kept = profiles((WHOLE, a_profile((0, 9000), purpose="ChargePointMaxProfile")))
    assert [kept.share_w(1, NOW, sharers) for sharers in (0, 1, 3)] == [9000, 9000, 3000]
    kept.install(1, a_profile((0, 1000), number=2))
    assert kept.share_w(1, NOW, 3) == 1000


def test_amperes_are_of_each_phase() -> None:
    assert a_profile((0, 10), unit="A").limit_w(NOW, NOW) == 6900


def test_a_relative_schedule_starts_with_charging_and_ends() -> None:
    profile = a_profile((0, 8000), (60, 2000), schedule={"duration": 100})
    limits = [profile.limit_w(NOW + timedelta(seconds=s), NOW) for s in (0, 59, 60, 99, 100)]
    assert limits == [8000, 8000, 2000, 2000, None]


def test_a_recurring_schedule_starts_again_every_day() -> None:
    profile = a_profile(
        (0, 4000),
        kind="Recurring",
        recurrency_kind="Daily",
        schedule={"start_schedule": "2026-01-01T11:30:00Z", "duration": 3600},
    )
    assert profile.limit_w(NOW, NOW) == 4000
    assert profile.limit_w(NOW + HOUR, NOW) is None
    assert profile.limit_w(NOW + timedelta(days=3), NOW) == 4000


def test_a_profile_holds_only_while_it_is_valid() -> None:
    profile = a_profile(valid_from="2026-03-02T12:00:00Z", valid_to="2026-03-02T13:00:00Z")
    limits = [profile.limit_w(NOW + n * HOUR, NOW - 9 * HOUR) for n in (-1, 0, 1)]
    assert limits == [None, 5000, None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits": [(5, 1000)]},
        {"limits": [(0, 1000), (0, 2000)]},
        {"limits": [(0, -1)]},
        {"limits": [(0, 1)], "level": -1},
        {"limits": [(0, 1)], "kind": "Recurring"},
        {"limits": [(0, 1)], "schedule": {"duration": -1}},
    ],
)
def test_a_profile_that_contradicts_itself_is_none(wrong: dict[str, Any]) -> None:
    limits = wrong.pop("limits")
    with pytest.raises(NotAProfile):
        a_profile(*limits, **wrong)


@pytest.mark.parametrize(
    ("connector_id", "profile"),
    [
        (1, a_profile(purpose="ChargePointMaxProfile")),
        (WHOLE, a_profile(purpose="TxProfile")),
        (1, a_profile(level=4)),
        (1, a_profile((0, 1), (1, 2), (2, 3), (3, 4))),
    ],
)
def test_what_does_not_belong_there_is_not_installed(connector_id: int, profile: Profile) -> None:
    assert not profiles().install(connector_id, profile)


def test_a_profile_takes_the_place_of_another_and_space_is_limited() -> None:
    kept = profiles(*((1, a_profile(number=n, level=n)) for n in range(4)))
    assert not kept.install(2, a_profile(number=9))
    assert kept.install(1, a_profile((0, 1), number=9, level=3))
    assert kept.limit_w(1, NOW) == 1
    assert kept.install(2, a_profile((0, 2), number=9))
    assert kept.limit_w(2, NOW) == 2


def test_profiles_are_cleared_by_id_or_by_what_they_are() -> None:
    low, high = a_profile(number=2), a_profile(number=3, level=1)
    kept = profiles((1, a_profile(number=1)), (2, low), (2, high))
    assert kept.clear(profile_id=1, connector_id=2)
    assert not kept.clear(profile_id=1)
    assert not kept.clear(connector_id=2, stack_level=2)
    assert kept.clear(connector_id=2, purpose="TxDefaultProfile", stack_level=1)
    assert kept.limit_w(2, NOW) == 5000
    assert kept.clear()
    assert kept.limit_w(2, NOW) is None


def test_the_limits_ahead_are_merged_where_they_do_not_change() -> None:
    kept = profiles(
        (1, a_profile((0, 8000), (600, 2000), (1200, 8000))),
        (
            WHOLE,
            a_profile(
                (0, 5000),
                number=2,
                purpose="ChargePointMaxProfile",
                kind="Absolute",
                schedule={"start_schedule": "2026-03-02T12:30:00Z"},
            ),
        ),
    )
    ahead = kept.composite(1, NOW, HOUR, most_w=7000)
    assert ahead == [(0, 7000), (600, 2000), (1200, 7000), (1800, 5000)]
    assert kept.composite(WHOLE, NOW, HOUR, most_w=7000) == [(0, 7000), (1800, 5000)]


def test_a_schedule_is_told_in_the_unit_that_was_asked_for() -> None:
    told = charging_schedule([(0, 6900.0)], NOW, 60, "A")
    assert told["charging_schedule_period"] == [{"start_period": 0, "limit": 10.0}]
    assert (told["charging_rate_unit"], told["duration"]) == ("A", 60)
