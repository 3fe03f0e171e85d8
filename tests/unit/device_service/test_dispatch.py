"""Commands find their links."""

import asyncio

import pytest

from device_service.dispatch import Dispatch
from device_service.links import Attachment, Link, Links
from device_service.ports import CommandDesk
from device_service.registry import MemoryRegistry
from servicekit.errors import DatabaseUnavailable
from tests.fakes.desk import FakeDesk
from tests.support.waiting import until


class WakingRegistry(MemoryRegistry):
    """Keeps whom it is asked to wake."""

    def __init__(self) -> None:
        super().__init__("replica-1")
        self.woken: list[str] = []

    def wake(self, charge_point_id: str) -> None:
        self.woken.append(charge_point_id)


class Setting:
    """A replica with one link that has room for one command."""

    def __init__(self) -> None:
        self.desk, self.links, self.registry = FakeDesk(), Links(), WakingRegistry()
        desk: CommandDesk = self.desk
        self.dispatch = Dispatch(self.links, desk, self.registry)
        self.link = Link("gateway-1", "instance-1", 1, max_in_flight=2, notify=lambda: None)
        self.links.open(self.link)
        for number in (1, 2, 3):
            self.links.attach(self.link, Attachment(f"CP-{number}", f"conn-{number}", 1))

    def delivered(self) -> list[str]:
        """Take what was delivered since the last time."""
        messages = iter(self.link.next_message, None)
        return [getattr(message, "command_id", "") for message in messages]


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def test_command_goes_down_the_link_of_its_charge_point(setting: Setting) -> None:
    setting.desk.commands["CP-1"].append("a")
    await setting.dispatch.wake("CP-1")
    await setting.dispatch.close()
    assert setting.delivered() == ["a"]
    assert setting.registry.woken == []


async def test_charge_point_of_another_replica_is_woken_there(setting: Setting) -> None:
    await setting.dispatch.wake("CP-9")
    await setting.dispatch.close()
    assert setting.registry.woken == ["CP-9"]
    assert not setting.desk.claims


async def test_nothing_is_claimed_while_a_command_is_under_way(setting: Setting) -> None:
    setting.desk.commands["CP-1"].extend(["a", "b"])
    for _ in range(3):
        await setting.dispatch.wake("CP-1")
        await setting.dispatch.close()
    assert setting.delivered() == ["a"]
    assert setting.desk.claims == {"CP-1": 1}


async def test_wake_during_a_claim_that_finds_nothing_is_not_lost(setting: Setting) -> None:
    setting.desk.gate.clear()
    await setting.dispatch.wake("CP-1")
    await until(lambda: setting.desk.claims["CP-1"] == 1)
    await setting.dispatch.wake("CP-1")
    setting.desk.gate.set()
    await setting.dispatch.close()
    assert setting.desk.claims["CP-1"] == 2


async def test_command_claimed_for_a_link_that_has_ended_waits_again(setting: Setting) -> None:
    setting.desk.commands["CP-1"].append("a")
    setting.desk.gate.clear()
    await setting.dispatch.wake("CP-1")
    await until(lambda: setting.desk.claims["CP-1"] == 1)
    setting.links.close(setting.link)
    setting.desk.gate.set()
    await setting.dispatch.close()
    assert setting.desk.released == ["a"]
    assert setting.delivered() == []


async def test_full_link_goes_on_with_those_that_it_held_up(setting: Setting) -> None:
    for number in (1, 2, 3):
        setting.desk.commands[f"CP-{number}"].append(f"of-{number}")
        await setting.dispatch.wake(f"CP-{number}")
        await setting.dispatch.close()
    assert setting.delivered() == ["of-1", "of-2"]
    setting.link.confirm("of-1")
    setting.dispatch.look_further()
    await setting.dispatch.close()
    assert setting.delivered() == ["of-1", "of-3"]


async def test_poll_finds_what_nobody_told_of(setting: Setting) -> None:
    setting.desk.error = DatabaseUnavailable("away")
    setting.desk.commands["CP-2"].append("a")
    await setting.dispatch.wake("CP-2")
    await setting.dispatch.close()
    assert setting.delivered() == []
    setting.desk.error = None
    await setting.dispatch.poll()
    await setting.dispatch.close()
    assert setting.delivered() == ["a"]
    assert set(setting.desk.claims) == {"CP-2"}


async def test_what_never_got_onto_the_link_is_taken_back(setting: Setting) -> None:
    setting.desk.commands["CP-1"].append("a")
    await setting.dispatch.wake("CP-1")
    await setting.dispatch.close()
    await setting.dispatch.reconcile(setting.link)
    assert setting.desk.relinks == [("instance-1", {"a"})]


async def test_nothing_is_claimed_while_a_link_is_reconciled(setting: Setting) -> None:
    setting.desk.gate.clear()
    setting.desk.commands["CP-1"].append("a")
    await setting.dispatch.wake("CP-1")
    await until(lambda: setting.desk.claims["CP-1"] == 1)
    reconciling = asyncio.create_task(setting.dispatch.reconcile(setting.link))
    await until(lambda: setting.link.paused)
    await setting.dispatch.wake("CP-2")
    setting.desk.gate.set()
    await reconciling
    assert setting.desk.relinks == [("instance-1", {"a"})]
    assert "CP-2" not in setting.desk.claims
    assert setting.link.may_deliver("CP-2")
