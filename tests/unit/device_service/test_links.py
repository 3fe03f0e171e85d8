"""Who is the newest, and how much may wait."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from device_service.links import (
    MAX_QUEUED,
    Attachment,
    Drain,
    Link,
    LinkReplaced,
    Links,
    ResultStored,
)
from device_service.ports import Delivery, Lease
from servicekit.errors import QueueFull


def a_link(
    epoch: int = 1, gateway: str = "gateway-1", notify: Callable[[], None] = lambda: None
) -> Link:
    return Link(gateway, f"instance-{epoch}", epoch, max_in_flight=2, notify=notify)


def a_delivery(command: str = "command-1", charge_point: str = "CP-1") -> Delivery:
    expire = datetime(2026, 1, 1, tzinfo=UTC)
    return Delivery(command, charge_point, "conn", expire, timedelta(seconds=60), "", b"")


def attachment(generation: int = 1, charge_point: str = "CP-1") -> Attachment:
    return Attachment(charge_point, f"conn-{generation}", generation)


@pytest.fixture
def links() -> Links:
    return Links()


@pytest.fixture
def link(links: Links) -> Link:
    link = a_link()
    links.open(link)
    return link


def test_newer_link_ends_the_older_and_what_it_held_is_told(links: Links, link: Link) -> None:
    links.attach(link, attachment())
    assert links.open(a_link(2)) == [Lease("CP-1", 1, 1)]
    assert isinstance(link.error, LinkReplaced)
    assert links.find("CP-1") is None


def test_older_link_is_not_taken(links: Links) -> None:
    links.open(a_link(2))
    with pytest.raises(LinkReplaced):
        links.open(a_link(1))


def test_links_of_other_gateways_do_not_disturb_each_other(links: Links, link: Link) -> None:
    links.open(a_link(2, "gateway-2"))
    assert not link.ended
    assert len(links) == 2


def test_link_that_is_newer_elsewhere_ends_the_one_here(links: Links, link: Link) -> None:
    links.replace("gateway-1", 1)
    assert not link.ended
    links.replace("gateway-1", 2)
    assert isinstance(link.error, LinkReplaced)
    assert len(links) == 0


def test_newest_connection_is_the_charge_point(links: Links, link: Link) -> None:
    other = a_link(1, "gateway-2")
    links.open(other)
    assert links.attach(link, attachment(1))
    assert links.attach(other, attachment(2))
    assert not links.attach(link, attachment(1))
    assert links.find("CP-1") == (other, attachment(2))
    assert link.attachments == {}


def test_late_end_of_an_older_connection_changes_nothing(links: Links, link: Link) -> None:
    links.attach(link, attachment(1))
    links.attach(link, attachment(2))
    assert links.detach(link, "CP-1", "conn-1") is None
    assert links.find("CP-1") == (link, attachment(2))
    assert links.detach(link, "CP-1", "conn-2") == Lease("CP-1", 2, 1)
    assert links.find("CP-1") is None


def test_link_that_has_ended_takes_no_connection(links: Links, link: Link) -> None:
    link.end()
    assert not links.attach(link, attachment())


def test_only_the_lease_that_is_outdone_is_let_go(links: Links, link: Link) -> None:
    links.attach(link, attachment(2))
    links.fence(Lease("CP-1", 1, 1))
    assert links.leases() == [Lease("CP-1", 2, 1)]
    links.fence(Lease("CP-1", 2, 1))
    assert links.leases() == []


def test_closing_a_link_leaves_what_others_hold(links: Links, link: Link) -> None:
    other = a_link(1, "gateway-2")
    links.open(other)
    links.attach(link, attachment())
    links.attach(other, attachment(1, "CP-2"))
    assert links.close(link) == [Lease("CP-1", 1, 1)]
    assert links.held() == ["CP-2"]


def test_one_command_is_under_way_per_charge_point(link: Link) -> None:
    assert link.may_deliver("CP-1")
    link.deliver(a_delivery())
    assert not link.may_deliver("CP-1")
    assert link.may_deliver("CP-2")
    link.confirm("command-1")
    assert link.may_deliver("CP-1")


def test_link_that_is_full_takes_no_more_commands(link: Link) -> None:
    link.deliver(a_delivery("command-1", "CP-1"))
    link.deliver(a_delivery("command-2", "CP-2"))
    assert link.is_full
    assert not link.may_deliver("CP-3")


def test_commands_that_the_gateway_lists_are_under_way() -> None:
    link = Link("g", "i", 1, unanswered=["a", "b"], max_in_flight=2, notify=lambda: None)
    assert link.in_flight_count == 2
    assert not link.may_deliver("CP-1")
    link.confirm("a")
    assert link.may_deliver("CP-1")


def test_link_that_drains_begins_nothing_and_confirms_still(link: Link) -> None:
    link.deliver(a_delivery())
    link.next_message()
    link.drain(timedelta(seconds=2))
    assert not link.may_deliver("CP-2")
    link.confirm("command-1")
    assert link.next_message() == Drain(timedelta(seconds=2))
    assert link.next_message() == ResultStored("command-1")
    assert link.next_message() is None


def test_gateway_that_does_not_read_loses_its_link() -> None:
    rung: list[bool] = []
    link = a_link(notify=lambda: rung.append(True))
    for number in range(MAX_QUEUED):
        link.confirm(f"command-{number}")
    assert not link.ended
    link.confirm("one more")
    assert isinstance(link.error, QueueFull)
    assert len(rung) == MAX_QUEUED + 1


def test_first_error_is_the_one_that_is_told(link: Link) -> None:
    link.end(QueueFull("first"))
    link.end(LinkReplaced("second"))
    assert isinstance(link.error, QueueFull)
