from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from simulator.authorization import Authorizer
from simulator.configuration import Configuration
from simulator.local_list import LocalList
from simulator.outbox import Unanswered


class Central:
    """Answers every Authorize with one status, or not at all."""

    def __init__(self, status: str | None = "Accepted") -> None:
        self.status, self.asked = status, 0

    async def call(self, _action: str, _payload: Mapping[str, Any]) -> dict[str, Any]:
        self.asked += 1
        if self.status is None:
            raise Unanswered("away")
        return {"id_tag_info": {"status": self.status, "parent_id_tag": "G"}}


def an_authorizer(
    central: Central, *listed: dict[str, Any], **keys: str
) -> tuple[Authorizer, Configuration]:
    configuration, local_list = Configuration(keys), LocalList(9, 9)
    assert local_list.update("Full", 1, listed) == "Accepted"
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return Authorizer(central.call, configuration, local_list, ["OWN"], lambda: now), configuration


def listed(status: str, **info: str) -> dict[str, Any]:
    return {"id_tag": "OWN", "id_tag_info": {"status": status, **info}}


async def test_an_answer_is_remembered_for_times_without_a_line() -> None:
    central = Central()
    authorizer, _ = an_authorizer(central)
    assert (await authorizer.authorize("OWN")).accepted
    assert authorizer.group_of("OWN") == "G"
    assert (await authorizer.authorize("STRANGER")).accepted
    central.status = None
    assert (await authorizer.authorize("OWN")).accepted
    assert not (await authorizer.authorize("STRANGER")).accepted
    assert authorizer.clear_cache() == "Accepted"
    assert not (await authorizer.authorize("OWN")).accepted


async def test_nothing_is_remembered_without_a_cache() -> None:
    authorizer, _ = an_authorizer(Central(), AuthorizationCacheEnabled="false")
    await authorizer.authorize("OWN")
    assert authorizer.known("OWN") is None
    assert authorizer.clear_cache() == "Rejected"


@pytest.mark.parametrize(("status", "asked"), [("Accepted", 0), ("Blocked", 1)])
async def test_the_list_spares_a_question_only_for_those_it_accepts(
    status: str, asked: int
) -> None:
    central = Central()
    authorizer, _ = an_authorizer(central, listed(status), LocalPreAuthorize="true")
    assert (await authorizer.authorize("OWN")).accepted
    assert central.asked == asked


@pytest.mark.parametrize(
    ("entry", "accepted"),
    [
        (listed("Accepted"), True),
        (listed("Blocked"), False),
        (listed("Accepted", expiry_date="2026-02-28T00:00:00Z"), False),
    ],
)
async def test_offline_the_list_decides(entry: dict[str, Any], accepted: bool) -> None:
    authorizer, configuration = an_authorizer(Central(None), entry)
    configuration.set("AllowOfflineTxForUnknownId", "true")
    assert (await authorizer.authorize("OWN")).accepted == accepted
    assert (await authorizer.authorize("STRANGER")).accepted
