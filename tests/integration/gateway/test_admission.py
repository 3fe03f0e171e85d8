"""What the gateway remembers of admissions."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from csms.gateway.v1 import admission_pb2
from gateway import admission as admission_module
from gateway.admission import Admission, AdmissionUnavailable, Handshake, offered
from servicekit.grpc_client import open_channel
from tests.fakes.admission import FakeAdmission
from tests.fakes.services import FakeService
from tests.support.services import free_address
from tests.support.waiting import until


@dataclass
class Register:
    fake: FakeAdmission
    service: FakeService
    admission: Admission


@pytest.fixture
async def register(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Register]:
    monkeypatch.setattr(admission_module, "_ASK_TIMEOUT_S", 2)
    fake = FakeAdmission("CP-1")
    service = FakeService(free_address(), {}, fake.register)
    await service.start()
    async with open_channel(service.address) as channel:
        yield Register(fake, service, Admission(channel, "gateway", remember_s=60))
    await service.kill()


def a_handshake(identity: str = "CP-1", *protocols: str) -> Handshake:
    return Handshake(identity, "10.0.0.1:1", protocols or ("ocpp1.6",))


async def test_admission_is_remembered_though_the_register_is_away(register: Register) -> None:
    first = await register.admission.judge(a_handshake())
    await register.service.kill()
    assert await register.admission.judge(a_handshake()) == first
    assert first.verdict == admission_pb2.VERDICT_ADMITTED
    with pytest.raises(AdmissionUnavailable):
        await register.admission.judge(a_handshake("CP-2"))


async def test_refusal_is_not_remembered(register: Register) -> None:
    refused = await register.admission.judge(a_handshake("CP-2"))
    assert refused.verdict == admission_pb2.VERDICT_UNKNOWN_CHARGE_POINT
    register.fake.known.add("CP-2")
    admitted = await register.admission.judge(a_handshake("CP-2"))
    assert admitted.verdict == admission_pb2.VERDICT_ADMITTED


async def test_admission_holds_for_the_same_subprotocols_only(register: Register) -> None:
    await register.admission.judge(a_handshake())
    other = await register.admission.judge(a_handshake("CP-1", "ocpp2.0.1"))
    assert other.verdict == admission_pb2.VERDICT_SUBPROTOCOL_MISSING


async def test_memory_ends(register: Register) -> None:
    async with open_channel(register.service.address) as channel:
        forgetful = Admission(channel, "gateway", remember_s=0)
        for _ in range(2):
            await forgetful.judge(a_handshake())
    assert len(register.fake.asked) == 2


async def test_memory_is_bounded(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "_MAX_REMEMBERED", 3)
    for number in range(5):
        register.fake.known.add(f"CP-{number}")
        await register.admission.judge(a_handshake(f"CP-{number}"))
    asked = len(register.fake.asked)
    await register.admission.judge(a_handshake("CP-4"))
    assert len(register.fake.asked) == asked
    await register.admission.judge(a_handshake("CP-0"))
    assert len(register.fake.asked) == asked + 1


async def test_own_refusal_is_told_in_the_background(register: Register) -> None:
    register.admission.report_refusal(a_handshake("?"), "identity_not_ascii")
    await until(lambda: len(register.fake.asked) == 1)
    assert register.fake.asked[0].refusal_reason == "identity_not_ascii"


async def test_reports_of_refusals_are_bounded(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "_MAX_REPORTS", 5)
    await register.service.kill()
    for _ in range(50):
        register.admission.report_refusal(a_handshake("?"), "identity_not_ascii")
    assert len(register.admission._reports) == 5
    await asyncio.wait(register.admission._reports)


def test_offers_are_read_from_all_headers() -> None:
    assert offered(["ocpp1.6, ocpp2.0.1", "", " , chat"]) == ("ocpp1.6", "ocpp2.0.1", "chat")


def test_subprotocols_are_few_and_short() -> None:
    names = [f"name-{number}" for number in range(100)]
    assert offered(["ocpp1.6, " + "x" * 8000, ", ".join(names)]) == ("ocpp1.6", *names[:19])
