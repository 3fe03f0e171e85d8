import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise

import pytest
from ocpp.exceptions import InternalError
from ocpp.v16 import call, call_result

from tests.integration.simulator.a_charge_point import SELDOM, charging
from tests.integration.simulator.central_system import CentralSystem, boot
from tests.support.waiting import until

Api = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def test_a_session_goes_from_boot_to_stop(central: CentralSystem) -> None:
    async with charging(central):
        await until(lambda: len(central.payloads("StartTransaction")) == 2)
    actions = [action for action, _ in central.received]
    assert actions[0] == "BootNotification"
    [start, *_], [stop, *_] = (central.payloads(f"{word}Transaction") for word in ("Start", "Stop"))
    assert start["id_tag"] == "TAG-1"
    assert stop["transaction_id"] == 41
    assert stop["meter_stop"] > start["meter_start"] + 1000
    assert central.statuses(0) == ["Available"]
    assert central.statuses(1)[:3] == ["Available", "Preparing", "Charging"]
    assert "Finishing" in central.statuses(1)
    registers = [
        int(value["meter_value"][0]["sampled_value"][0]["value"])
        for value in central.payloads("MeterValues")
        if value["transaction_id"] == 41
    ]
    assert registers
    assert all(before <= after for before, after in pairwise(registers))


async def test_nothing_else_is_said_before_the_boot_is_accepted(central: CentralSystem) -> None:
    answers = iter([boot("Pending", 0), boot("Rejected", 1), boot("Accepted", 300)])
    central.answers["BootNotification"] = lambda **_: next(answers)
    async with charging(central):
        await until(lambda: central.payloads("StatusNotification"))
    assert [action for action, _ in central.received[:4]] == ["BootNotification"] * 3 + [
        "StatusNotification"
    ]


async def test_heartbeats_follow_the_interval_of_the_boot(central: CentralSystem) -> None:
    central.answers["BootNotification"] = lambda **_: boot("Accepted", 1)
    async with charging(central, pause_s=SELDOM):
        await until(lambda: len(central.payloads("Heartbeat")) >= 2)


async def test_a_stop_without_an_answer_is_sent_again_after_the_line_dropped(
    central: CentralSystem,
) -> None:
    central.silent.add("StopTransaction")
    async with charging(central):
        await until(lambda: central.payloads("StopTransaction"))
        central.silent.clear()
        await central.hang_up()
        await until(lambda: len(central.payloads("StopTransaction")) >= 2)
    first, second, *_ = central.payloads("StopTransaction")
    assert first == second
    assert central.connections >= 2
    assert len(central.payloads("BootNotification")) == 1


async def test_a_message_without_an_answer_is_sent_again_on_the_same_line(
    central: CentralSystem,
) -> None:
    def fail_once(**_: object) -> object:
        central.answers["MeterValues"] = lambda **_: call_result.MeterValues()
        raise InternalError

    central.answers["MeterValues"] = fail_once
    async with charging(central):
        await until(lambda: len(central.payloads("MeterValues")) >= 2)
    first, second, *_ = central.payloads("MeterValues")
    assert first == second
    assert central.connections == 1


async def test_a_car_charges_on_while_nobody_answers(central: CentralSystem) -> None:
    central.silent.add("MeterValues")
    async with charging(central, speed=1000) as charge_point:
        await until(lambda: len(charge_point.outbox) >= 2)
        central.silent.clear()
        central.away = True
        await central.hang_up()
        await until(lambda: len(charge_point.outbox) >= 2)
        central.away = False
        await until(lambda: central.payloads("StopTransaction"))
    times = [
        value["meter_value"][0]["timestamp"]
        for value in central.payloads("MeterValues")
        if value["transaction_id"] == 41
    ]
    assert times == sorted(times)
    assert len(set(times)) == len(times) - 1  # the one that had no answer came twice


async def test_a_transaction_whose_tag_is_refused_is_stopped(central: CentralSystem) -> None:
    central.answers["StartTransaction"] = lambda **_: call_result.StartTransaction(
        42, {"status": "Blocked"}
    )
    async with charging(central):
        await until(lambda: central.payloads("StopTransaction"))
    [start, *_], [stop, *_] = (central.payloads(f"{word}Transaction") for word in ("Start", "Stop"))
    assert (stop["reason"], stop["transaction_id"]) == ("DeAuthorized", 42)
    assert stop["meter_stop"] == start["meter_start"]
    assert "Charging" not in central.statuses(1)


async def test_a_driver_whose_tag_is_refused_does_not_charge(central: CentralSystem) -> None:
    central.answers["Authorize"] = lambda **_: call_result.Authorize({"status": "Invalid"})
    async with charging(central):
        await until(lambda: central.statuses(1)[:3] == ["Available", "Preparing", "Available"])
    assert central.payloads("StartTransaction") == []


async def test_a_dropped_line_ends_the_wait_for_an_answer(central: CentralSystem) -> None:
    central.silent.add("Authorize")
    async with charging(central, call_timeout_s=600):
        await until(lambda: central.payloads("Authorize"))
        central.silent.clear()
        await central.hang_up()
        await until(lambda: len(central.payloads("Authorize")) >= 2)


async def test_a_session_is_started_and_stopped_from_far_away(central: CentralSystem) -> None:
    async with charging(central, pause_s=SELDOM, speed=1) as charge_point:
        await until(lambda: central.statuses(1))
        answer = await central.call(call.RemoteStartTransaction(id_tag="FAR", connector_id=1))
        assert answer.status == "Accepted"
        await until(lambda: "Charging" in central.statuses(1))
        again = await central.call(call.RemoteStartTransaction(id_tag="FAR", connector_id=1))
        assert again.status == "Rejected"
        unknown = await central.call(call.RemoteStopTransaction(transaction_id=1))
        assert unknown.status == "Rejected"
        answer = await central.call(call.RemoteStopTransaction(transaction_id=41))
        assert answer.status == "Accepted"
        await until(lambda: central.payloads("StopTransaction"))
        await until(lambda: charge_point.connectors[0].status == "Available")
    assert central.payloads("StartTransaction")[0]["id_tag"] == "FAR"
    assert central.payloads("StopTransaction")[0]["reason"] == "Remote"


@pytest.mark.parametrize(("kind", "connections"), [("Soft", 1), ("Hard", 2)])
async def test_a_reset_stops_the_transaction_and_boots(
    central: CentralSystem, kind: str, connections: int
) -> None:
    async with charging(central, speed=1):
        await until(lambda: "Charging" in central.statuses(1))
        assert (await central.call(call.Reset(type=kind))).status == "Accepted"
        await until(lambda: len(central.payloads("BootNotification")) == 2)
    assert central.payloads("StopTransaction")[0]["reason"] == f"{kind}Reset"
    assert central.connections == connections


@pytest.mark.parametrize(
    "message",
    [
        "BootNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "MeterValues",
        "StatusNotification",
    ],
)
async def test_a_message_can_be_triggered(central: CentralSystem, message: str) -> None:
    async with charging(central, pause_s=SELDOM):
        await until(lambda: central.statuses(1))
        before = len(central.payloads(message))
        answer = await central.call(call.TriggerMessage(requested_message=message))
        assert answer.status == "Accepted"
        await until(lambda: len(central.payloads(message)) > before)
        refused = await central.call(call.TriggerMessage(requested_message=message, connector_id=9))
        assert refused.status == "Rejected"


async def test_a_connector_out_of_service_says_so_and_comes_back(central: CentralSystem) -> None:
    async with charging(central, pause_s=SELDOM) as charge_point:
        await until(lambda: central.statuses(1))
        for kind, status in (("Inoperative", "Unavailable"), ("Operative", "Available")):
            answer = await central.call(call.ChangeAvailability(connector_id=1, type=kind))
            assert answer.status == "Accepted"
            await until(partial(_last_status_is, central, status))
        assert charge_point.connectors[0].status == "Available"


async def test_unlocking_stops_the_transaction(central: CentralSystem) -> None:
    async with charging(central, speed=1):
        await until(lambda: "Charging" in central.statuses(1))
        assert (await central.call(call.UnlockConnector(connector_id=1))).status == "Unlocked"
        assert (await central.call(call.UnlockConnector(connector_id=7))).status == "NotSupported"
        await until(lambda: central.payloads("StopTransaction"))
    assert central.payloads("StopTransaction")[0]["reason"] == "UnlockCommand"


async def test_configuration_is_read_and_changed(central: CentralSystem) -> None:
    async with charging(central, pause_s=SELDOM):
        await until(lambda: central.statuses(1))
        answer = await central.call(
            call.ChangeConfiguration(key="MeterValueSampleInterval", value="2")
        )
        assert answer.status == "Accepted"
        answer = await central.call(
            call.GetConfiguration(key=["MeterValueSampleInterval", "NoSuchKey"])
        )
        assert answer.configuration_key[0]["value"] == "2"
        assert answer.unknown_key == ["NoSuchKey"]


async def test_what_is_not_supported_is_answered(central: CentralSystem) -> None:
    async with charging(central, pause_s=SELDOM):
        await until(lambda: central.statuses(1))
        assert (await central.call(call.ClearCache())).status == "Accepted"
        answer = await central.call(call.DataTransfer(vendor_id="somebody"))
        assert answer.status == "UnknownVendorId"


@pytest.mark.parametrize(("silent", "told"), [(set[str](), 4), ({"StopTransaction"}, 3)])
async def test_a_signal_ends_the_program_cleanly(
    central: CentralSystem, silent: set[str], told: int
) -> None:
    """Also when nobody answers: then each of the three charge points has told one stop."""
    central.silent |= silent
    registered: list[bytes] = []
    api = await asyncio.start_server(_id_tag_api(registered), "127.0.0.1", 0)
    rest = f"http://127.0.0.1:{api.sockets[0].getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "--url", central.url, "--rest", rest),
        *("--count", "3", "--ramp-up", "0", "--speed", "1", "--pause", "0"),
        *("--call-timeout", "600"),
        env=os.environ,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: len(central.payloads("StartTransaction")) == 4)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        api.close()
    assert [stop["reason"] for stop in central.payloads("StopTransaction")] == ["PowerLoss"] * told
    assert len(registered) == 7  # six tags; the first was asked for twice
    assert registered[0] == registered[1]


def _last_status_is(central: CentralSystem, status: str) -> bool:
    return central.statuses(1)[-1] == status


def _id_tag_api(registered: list[bytes]) -> Api:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        registered.append(head.split(b"\r\n")[0])
        status = b"503 Unavailable" if len(registered) == 1 else b"409 Conflict"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    return answer
