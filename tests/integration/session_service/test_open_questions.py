"""What a session says of its registers: the same wherever it is shown, whenever they came."""

from typing import Any

import pytest

from csms.ocpp.v16 import types_pb2
from csms.v1 import session_service_pb2 as pb
from session_service.store import progress
from tests.integration.session_service.conftest import Platform, at, energy, session_gateway
from tests.integration.session_service.test_watch_sessions import CHANGED, watching
from tests.support.waiting import eventually

VOLTAGE = types_pb2.SampledValue(value="230", measurand=types_pb2.MEASURAND_VOLTAGE)
BEGIN = types_pb2.READING_CONTEXT_TRANSACTION_BEGIN
SIGNED = types_pb2.VALUE_FORMAT_SIGNED_DATA
KWH = types_pb2.UNIT_OF_MEASURE_KWH
INLET = types_pb2.LOCATION_INLET
L1, L2 = types_pb2.PHASE_L1, types_pb2.PHASE_L2


def rising(*registers: object) -> list[types_pb2.MeterValue]:
    return [energy(60 * at, str(register)) for at, register in enumerate(registers, 1)]


def voltages(count: int) -> list[types_pb2.MeterValue]:
    return [
        types_pb2.MeterValue(timestamp=at(3600 + 60 * number), sampled_value=[VOLTAGE])
        for number in range(count)
    ]


def samples(seconds: float, *sampled: types_pb2.SampledValue) -> types_pb2.MeterValue:
    return types_pb2.MeterValue(timestamp=at(seconds), sampled_value=sampled)


def sample(value: str, **values: Any) -> types_pb2.SampledValue:
    return types_pb2.SampledValue(value=value, **values)


READ: dict[str, tuple[int, list[types_pb2.MeterValue], int | None, list[str]]] = {
    "plain": (100_000, rising(100_500, 101_000, 101_000), 1000, []),
    "no register": (1000, voltages(2), None, []),
    "registers long ago": (1000, [*rising(2000), *voltages(25)], 1000, []),
    "reset": (
        100_000,
        rising(101_000, 103_000, 105_000, *range(0, 2500, 100)),
        7400,
        ["METER_RESET"],
    ),
    "dip at the end": (1000, rising(1500, 1600, *[0] * 21), 600, ["METER_DIP"]),
    "kWh": (1_000_000, rising("1000.1", "1000.2"), None, ["METER_UNIT_DOUBTFUL"]),
    "spike": (1000, rising(4_296_944_685_999), None, ["METER_SPIKE"]),
    "spike that falls": (
        1000,
        [*rising(1500, 900_000), samples(130, VOLTAGE), energy(180, "2000"), energy(240, "2500")],
        1500,
        ["METER_SPIKE"],
    ),
    "too fast": (1000, rising(1100, 9_000_000), 100, ["METER_SPIKE"]),
    "below its start": (1000, rising(900, 900), None, ["METER_DIP"]),
    "no number": (1000, rising(1100, "none", 1200), 200, []),
    "total, then phases": (
        0,
        [
            *rising(1000, 1100),
            *(
                samples(600 + 60 * it, sample("424", phase=L1), sample("424", phase=L2))
                for it in range(25)
            ),
        ],
        1100,
        [],
    ),
    "phases": (0, [samples(60, sample("300", phase=L1), sample("400", phase=L2))], 700, []),
    "begin": (
        1000,
        [
            energy(0, "1000", context=BEGIN),
            samples(60, sample("1100", context=BEGIN), sample("1200")),
        ],
        200,
        [],
    ),
    "signed": (
        1000,
        [samples(60, sample("AF12", format=SIGNED), sample("2.5", unit=KWH))],
        1500,
        [],
    ),
    "elsewhere": (1000, [samples(60, sample("9000", location=INLET), sample("1200"))], 200, []),
    "clock never right": (
        1000,
        [energy(-86_400, "1300"), energy(-86_340, "1400")],
        400,
        [],
    ),
    "clock set back": (
        1000,
        [*rising(1100, 1200), energy(-86_400, "1300"), energy(-86_340, "1400")],
        400,
        [],
    ),
}


async def running(
    platform: Platform, name: str, start: int, values: list[types_pb2.MeterValue]
) -> int:
    started = await platform.gateway.start(name, meter_start=start)
    for value in values:
        await platform.gateway.meter(
            value, charge_point_id=name, transaction_id=started.transaction_id
        )
    return started.transaction_id


def said(session: pb.Session) -> tuple[object, ...]:
    return (
        session.energy_wh if session.HasField("energy_wh") else None,
        list(session.flags),
        session.duration,
        session.average_power_w,
    )


async def test_running_sessions_are_listed_as_each_of_them_is_shown(platform: Platform) -> None:
    names = {
        await running(platform, f"CP-{number}", *READ[name][:2]): name
        for number, name in enumerate(READ)
    }
    shown = {}
    for listed in await platform.all_sessions():
        session = await platform.session(listed.ocpp_transaction_id)
        assert said(listed) == said(session), names[listed.ocpp_transaction_id]
        shown[names[listed.ocpp_transaction_id]] = said(session)[:2]
    assert shown == {name: (energy_wh, flags) for name, (_, _, energy_wh, flags) in READ.items()}


async def test_list_says_nothing_of_the_energy_that_it_would_have_to_look_for_too_long(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_MOST_OF_PAGE", 6)
    few = await running(platform, "CP-1", 1000, rising(1500))
    many = await running(platform, "CP-2", 1000, rising(1500, 1600, 1700))
    listed = {it.ocpp_transaction_id: said(it)[0] for it in await platform.all_sessions()}
    assert listed == {few: 500, many: None}
    assert (await platform.session(many)).energy_wh == 700


async def test_registers_of_which_none_is_believed_are_in_question(platform: Platform) -> None:
    started = await running(platform, "CP-1", 1_000_000, rising("1000.5", "1001.5"))
    await platform.gateway.stop(started, "CP-1", meter_stop=1_002_000)
    assert list((await platform.the_session()).flags) == ["METER_UNIT_DOUBTFUL"]


async def test_late_meter_values_raise_the_questions_that_they_raise_in_time(
    database_url: str, auth_address: str
) -> None:
    late = rising(1800, 0, 1850)
    doubts = ["METER_STOP_BELOW_READING", "METER_DIP"]
    async with session_gateway(database_url, auth_address, tend_interval_s=0.05) as platform:
        in_time = await running(platform, "CP-1", 1000, late)
        await platform.gateway.stop(in_time, "CP-1", meter_stop=1400)
        assert list((await platform.session(in_time)).flags) == doubts

        watch = await watching(platform.sessions, charge_point="chargePoints/CP-2")
        stopped = (await platform.gateway.start("CP-2")).transaction_id
        answer = await platform.gateway.stop(stopped, "CP-2", meter_stop=1400)
        for value in late:
            await platform.gateway.meter(value, charge_point_id="CP-2", transaction_id=stopped)

        async def is_in_question() -> bool:
            return list((await platform.session(stopped)).flags) == doubts

        await eventually(is_in_question)
        while (event := await watch.event()).type != CHANGED or list(event.session.flags) != doubts:
            pass
        assert await platform.gateway.stop(stopped, "CP-2", meter_stop=1400) == answer
        assert await platform.quarantined() == []
