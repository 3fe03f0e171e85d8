"""Charge points and lines that misbehave: what was said is kept once, and answered alike."""

import asyncio
import json
from datetime import timedelta

import pytest
from websockets.asyncio.client import ClientConnection

from deploy.embedded import Platform
from tests.chaos.audit import assert_all_there_once
from tests.chaos.chargers import Charger, Habits
from tests.chaos.facts import Fact
from tests.support.rest import Rest

pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(240)]

PLAIN = Habits(drops=0, repeats=0, pause_s=0)
CUT_OFF = Habits(drops=1, repeats=0, pause_s=0)
MANY = 200


class Stutterer(Charger):
    """Sends each frame twice in a row, then the same call a third time under a new message id."""

    async def _ask(self, line: ClientConnection, fact: Fact) -> None:
        first = await self._send(line, fact)
        await self._send(line, fact, first)
        last = await self._send(line, fact)
        while not self._take(json.loads(await line.recv()), last):
            pass


async def test_a_charge_point_that_sends_everything_twice_gets_the_same_answers(
    harmed: Platform, operator: Rest
) -> None:
    charger = Stutterer(harmed.ocpp_url, "STUTTERER-1", habits=PLAIN)
    await operator.add_id_tag(charger.id_tag, maxActiveTransactions=1)
    await charger.boot()
    for _ in range(3):
        await charger.charge(6)
    await charger.hang_up()
    assert {(fact.sent, len(fact.answers)) for fact in charger.ledger.facts} == {(3, 3)}
    await assert_all_there_once(operator, harmed.database_url, [charger.ledger])


async def test_a_clock_that_jumps_back_a_day_costs_no_energy(
    harmed: Platform, operator: Rest
) -> None:
    charger = Charger(harmed.ocpp_url, "CLOCK-1", habits=PLAIN)
    await operator.add_id_tag(charger.id_tag)
    await charger.boot()
    transaction = await charger.start()
    await charger.measure(transaction)
    charger.clock_offset = -timedelta(days=1)
    await charger.measure(transaction)
    await charger.notify(1, "Charging")
    await charger.stop(transaction)
    await charger.hang_up()
    transaction.doubts.append("STOP_BEFORE_START")
    await assert_all_there_once(operator, harmed.database_url, [charger.ledger])


async def test_what_all_charge_points_repeat_after_they_lost_their_line_is_there_once(
    harmed: Platform, operator: Rest
) -> None:
    """Each loses it right behind the first frame of every fact, all at the same time."""
    chargers = [Charger(harmed.ocpp_url, f"CUT-{n}", habits=CUT_OFF) for n in range(MANY)]
    await asyncio.gather(*(charger.boot() for charger in chargers))
    transactions = await asyncio.gather(*(charger.start() for charger in chargers))
    pairs = list(zip(chargers, transactions, strict=True))
    await asyncio.gather(*(charger.measure(transaction) for charger, transaction in pairs))
    await asyncio.gather(*(charger.notify(1, "Charging") for charger in chargers))
    await asyncio.gather(*(charger.stop(transaction) for charger, transaction in pairs))
    ledgers = [charger.ledger for charger in chargers]
    assert all(fact.sent > 1 for ledger in ledgers for fact in ledger.facts)
    await assert_all_there_once(operator, harmed.database_url, ledgers)
    await asyncio.gather(*(charger.hang_up() for charger in chargers))
