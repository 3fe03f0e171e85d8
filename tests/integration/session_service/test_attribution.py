"""Which session a meter value belongs to, and how that is told."""

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


async def test_value_belongs_to_none_when_two_sessions_cover_its_time(platform: Platform) -> None:
    first = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(first)
    await platform.gateway.start(timestamp=at(10), meter_start=2000)
    await platform.gateway.meter(energy(20, "both"), energy(5, "one"), transaction_id=0)
    assert await told(platform) == {"both": "NONE", "one": "CONNECTOR_AND_TIME 1000"}


async def test_transaction_of_another_charge_point_is_no_id(platform: Platform) -> None:
    started = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(energy(1, "1"), charge_point_id="CP-2", transaction_id=started)
    assert await told(platform, "CP-2/connectors/1") == {"1": "NONE"}


async def test_stale_id_counts_for_the_time_of_its_session_only(platform: Platform) -> None:
    ended = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(ended)
    await platform.gateway.start(timestamp=at(7200), meter_start=5000)
    await platform.gateway.meter(
        energy(0, "begin"),
        energy(3600, "end"),
        energy(3601, "after"),
        energy(9000, "next"),
        energy(9001, "signed off", context=END),
        energy(-9, "signed on", context=BEGIN),
        transaction_id=ended,
    )
    assert await told(platform) == {
        "signed on": "TRANSACTION_ID 1000",
        "begin": "TRANSACTION_ID 1000",
        "end": "TRANSACTION_ID 1000",
        "after": "NONE",
        "next": "CONNECTOR_AND_TIME 5000",
        "signed off": "TRANSACTION_ID 1000",
    }


@pytest.mark.parametrize(
    ("source", "attribution"),
    [
        (None, "NONE"),
        ("STATION", "NONE"),
        ("INFERRED", "TRANSACTION_ID 1000"),
        ("OPERATOR", "TRANSACTION_ID 1000"),
    ],
)
async def test_end_that_the_charge_point_did_not_tell_does_not_end_its_values(
    platform: Platform, database_url: str, source: str | None, attribution: str
) -> None:
    started = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(started)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE session.sessions SET stop_source = %s", (source,))
    await platform.gateway.meter(energy(9000, "1"), transaction_id=started)
    assert await told(platform) == {"1": attribution}


async def test_values_of_a_stop_belong_to_its_session(platform: Platform) -> None:
    started = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(started, transaction_data=[energy(9000, "1")])
    (value,) = await platform.meter_values(await platform.the_session())
    assert value.ocpp_transaction_id == started
    assert await told(platform) == {"1": "STOP_TRANSACTION 1000"}
