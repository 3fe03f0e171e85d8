"""Which session a meter value belongs to, and how that is told."""

import asyncio

import psycopg
import pytest

from csms.ocpp.v16 import types_pb2
from csms.v1 import session_service_pb2 as pb
from tests.integration.session_service.conftest import Platform, at, energy

ATTRIBUTION = pb.MeterValue.Attribution
BEGIN = types_pb2.READING_CONTEXT_TRANSACTION_BEGIN
END = types_pb2.READING_CONTEXT_TRANSACTION_END


async def told(platform: Platform, connector: str = "CP-1/connectors/1") -> dict[str, str]:
    """Return by value of a connector how it was attributed, and to the session of which start."""
    request = pb.ListMeterValuesRequest(parent=f"chargePoints/{connector}")
    response = await platform.sessions.ListMeterValues(request)
    starts = {session.name: session.meter_start_wh for session in await platform.all_sessions()}
    return {
        value.sampled_values[0].value: " ".join(
            [
                ATTRIBUTION.Name(value.attribution).removeprefix("ATTRIBUTION_"),
                *([str(starts[value.session])] if value.session else []),
            ]
        )
        for value in response.meter_values
    }


async def test_value_belongs_to_the_running_session_that_its_transaction_names(
    platform: Platform,
) -> None:
    started = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(energy(-5, "1"), energy(9, "2"), transaction_id=started)
    await platform.gateway.meter(energy(3, "3"), connector_id=0, transaction_id=started)
    await platform.gateway.meter(energy(4, "4"), connector_id=2, transaction_id=started)
    assert await told(platform) == {"1": "TRANSACTION_ID 1000", "2": "TRANSACTION_ID 1000"}
    assert await told(platform, "CP-1/connectors/0") == {"3": "TRANSACTION_ID 1000"}
    assert await told(platform, "CP-1/connectors/2") == {"4": "TRANSACTION_ID 1000"}


@pytest.mark.parametrize("transaction_id", [None, 0, -1, 4242, 9223372036854766666])
async def test_value_without_a_good_id_belongs_to_what_the_connector_had_at_its_time(
    platform: Platform, transaction_id: int | None
) -> None:
    first = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(first)
    await platform.gateway.start(timestamp=at(7200), meter_start=5000)
    await platform.gateway.start("CP-2", meter_start=9)
    for connector_id in (0, 1, 2):
        await platform.gateway.meter(
            energy(9000, "late"),
            energy(1800, "early"),
            energy(5000, "between"),
            energy(-1, "before"),
            transaction_id=transaction_id,
            connector_id=connector_id,
        )
    assert await told(platform) == {
        "before": "NONE",
        "early": "CONNECTOR_AND_TIME 1000",
        "between": "NONE",
        "late": "CONNECTOR_AND_TIME 5000",
    }
    assert set((await told(platform, "CP-1/connectors/0")).values()) == {"NONE"}
    assert set((await told(platform, "CP-1/connectors/2")).values()) == {"NONE"}


async def test_of_two_sessions_that_cover_a_time_the_one_that_began_last_counts(
    platform: Platform,
) -> None:
    first = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(first)
    second = (await platform.gateway.start(timestamp=at(10), meter_start=2000)).transaction_id
    values = [energy(20, "both"), energy(5, "one")]
    await platform.gateway.meter(*values, transaction_id=0)
    assert await told(platform) == {
        "both": "CONNECTOR_AND_TIME 2000",
        "one": "CONNECTOR_AND_TIME 1000",
    }
    await platform.gateway.stop(second, timestamp=at(30))
    await platform.gateway.meter(energy(40, "first only"), transaction_id=0)
    assert (await told(platform))["first only"] == "NONE"


async def test_of_two_sessions_that_began_at_once_the_one_that_was_told_last_counts(
    platform: Platform,
) -> None:
    ended = (await platform.gateway.start()).transaction_id
    await platform.gateway.start(meter_start=2000)
    await platform.gateway.meter(energy(20, "no id"))
    await platform.gateway.meter(energy(30, "old id"), transaction_id=ended)
    assert await told(platform) == {
        "no id": "CONNECTOR_AND_TIME 2000",
        "old id": "CONNECTOR_AND_TIME 2000",
    }


async def test_session_that_runs_has_the_values_that_no_newer_one_covers(
    platform: Platform,
) -> None:
    ahead = (await platform.gateway.start(timestamp=at(7200), meter_start=2000)).transaction_id
    await platform.gateway.stop(ahead, timestamp=at(7300))
    await platform.gateway.start()  # its clock was set right
    values = [energy(600, "before"), energy(7250, "meanwhile"), energy(9000, "after")]
    await platform.gateway.meter(*values)
    assert await told(platform) == {
        "before": "CONNECTOR_AND_TIME 1000",
        "meanwhile": "CONNECTOR_AND_TIME 2000",
        "after": "CONNECTOR_AND_TIME 1000",
    }


async def test_transaction_of_another_charge_point_is_no_id(platform: Platform) -> None:
    started = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(energy(1, "1"), charge_point_id="CP-2", transaction_id=started)
    assert await told(platform, "CP-2/connectors/1") == {"1": "NONE"}


@pytest.mark.parametrize("source", [None, "STATION", "INFERRED", "OPERATOR"])
async def test_id_counts_after_the_end_until_a_newer_session_begins(
    platform: Platform, database_url: str, source: str | None
) -> None:
    ended = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(ended)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE session.sessions SET stop_source = %s", (source,))
    await platform.gateway.start(timestamp=at(7200), meter_start=5000)
    await platform.gateway.start(timestamp=at(4000), meter_start=9, connector_id=2)
    await platform.gateway.meter(
        energy(-9, "before", context=BEGIN),
        energy(3600, "end"),
        energy(7199, "after"),
        energy(7200, "next", context=BEGIN),
        energy(9000, "later", context=END),
        transaction_id=ended,
    )
    assert await told(platform) == {
        "before": "TRANSACTION_ID 1000",
        "end": "TRANSACTION_ID 1000",
        "after": "TRANSACTION_ID 1000",
        "next": "CONNECTOR_AND_TIME 5000",
        "later": "CONNECTOR_AND_TIME 5000",
    }


@pytest.mark.parametrize(
    ("source", "attribution"),
    [
        (None, "TRANSACTION_ID 1000"),
        ("STATION", "TRANSACTION_ID 1000"),
        ("INFERRED", "CONNECTOR_AND_TIME 2000"),
        ("OPERATOR", "CONNECTOR_AND_TIME 2000"),
    ],
)
async def test_between_start_and_stop_as_they_were_told_the_id_counts_beside_a_newer_session(
    platform: Platform, database_url: str, source: str | None, attribution: str
) -> None:
    ended = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(ended)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE session.sessions SET stop_source = %s", (source,))
    await platform.gateway.start(timestamp=at(10), meter_start=2000)
    await platform.gateway.meter(energy(20, "1"), transaction_id=ended)
    assert await told(platform) == {"1": attribution}


@pytest.mark.parametrize("transaction_id", ["none", "zero", "old"])
async def test_stop_in_the_future_takes_no_values_from_the_next_session(
    platform: Platform, transaction_id: str
) -> None:
    ended = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(ended, timestamp=at(100 * 365 * 86400))
    await platform.gateway.meter(energy(100, "before"))
    running = (await platform.gateway.start(timestamp=at(7200), meter_start=5000)).transaction_id
    said = {"none": None, "zero": 0, "old": ended}[transaction_id]
    await platform.gateway.meter(energy(9000, "running"), transaction_id=said)
    await platform.gateway.stop(running, timestamp=at(10_000))
    await platform.gateway.meter(energy(9500, "ended"), transaction_id=said)
    await platform.gateway.meter(energy(10_001, "idle"), transaction_id=said)
    assert await told(platform) == {
        "before": "CONNECTOR_AND_TIME 1000",
        "running": "CONNECTOR_AND_TIME 5000",
        "ended": "CONNECTOR_AND_TIME 5000",
        "idle": "NONE",
    }
    assert list((await platform.session(ended)).flags) == ["STOP_IN_FUTURE"]


async def test_value_without_a_session_is_placed_when_it_comes_again_with_one(
    platform: Platform,
) -> None:
    ended = (await platform.gateway.start()).transaction_id
    values = [energy(second, f"{second}") for second in (4000, 4001)]
    await platform.gateway.stop(ended)
    await platform.gateway.meter(*values)
    assert await told(platform) == {"4000": "NONE", "4001": "NONE"}
    await platform.gateway.meter(values[0], values[0], transaction_id=ended)
    assert await told(platform) == {"4000": "TRANSACTION_ID 1000", "4001": "NONE"}
    for transaction_id in (None, 4242):
        await platform.gateway.meter(*values, transaction_id=transaction_id)
    assert await told(platform) == {"4000": "TRANSACTION_ID 1000", "4001": "NONE"}
    parent = "chargePoints/CP-1/connectors/1"
    response = await platform.sessions.ListMeterValues(pb.ListMeterValuesRequest(parent=parent))
    assert [it.ocpp_transaction_id for it in response.meter_values] == [ended, 0]


async def test_of_equal_values_that_come_at_once_one_with_a_session_is_kept(
    platform: Platform,
) -> None:
    ended = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(ended)
    ids = [*[None] * 10, ended, *[None] * 10]
    await asyncio.gather(
        *(platform.gateway.meter(energy(4000, "1"), transaction_id=it) for it in ids)
    )
    assert await told(platform) == {"1": "TRANSACTION_ID 1000"}


async def test_value_that_has_a_session_keeps_it(platform: Platform) -> None:
    first = (await platform.gateway.start()).transaction_id
    value = energy(20, "1")
    await platform.gateway.meter(value, transaction_id=first)
    await platform.gateway.start(timestamp=at(10), meter_start=2000)
    await platform.gateway.meter(value)
    await platform.gateway.stop(first, transaction_data=[value])
    assert await told(platform) == {"1": "TRANSACTION_ID 1000"}


async def test_values_of_a_stop_are_placed_though_they_came_before_without_an_id(
    platform: Platform,
) -> None:
    started = (await platform.gateway.start(timestamp=at(0))).transaction_id
    early = energy(-60, "early")
    await platform.gateway.meter(early)
    await platform.gateway.stop(started, transaction_data=[early, energy(-60, "early"), early])
    assert await told(platform) == {"early": "STOP_TRANSACTION 1000"}


async def test_values_of_a_stop_belong_to_its_session(platform: Platform) -> None:
    started = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(started, transaction_data=[energy(9000, "1")])
    (value,) = await platform.meter_values(await platform.the_session())
    assert value.ocpp_transaction_id == started
    assert await told(platform) == {"1": "STOP_TRANSACTION 1000"}
