"""Parts are killed at random moments under load: every answered fact is there exactly once.

`make chaos` runs this with more kills. A seed decides what is killed in which order, after how many
frames and for how long, and what the charge points do; SEED=… repeats that.
"""

import asyncio
import os
import random

import pytest

from deploy.embedded import Platform
from tests.chaos.audit import assert_all_there_once, summary
from tests.chaos.chargers import Charger, end
from tests.chaos.facts import Traffic
from tests.chaos.kills import Killer, schedule
from tests.support.rest import Rest
from tests.support.waiting import eventually

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
KILLS = int(os.environ.get("KILLS") or 20)
CHARGERS = 30

pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(180 + 30 * KILLS)]


async def test_what_was_answered_is_there_once_whatever_was_killed(
    harmed: Platform, operator: Rest
) -> None:
    print(f"SEED={SEED} KILLS={KILLS}")
    traffic, enough = Traffic(), asyncio.Event()
    chargers = [
        Charger(harmed.ocpp_url, f"KILLED-{number}", seed=SEED, traffic=traffic)
        for number in range(CHARGERS)
    ]
    for charger in chargers:  # a repeated start may not run into the limit that it has reached
        await operator.add_id_tag(charger.id_tag, maxActiveTransactions=1)
    killer = Killer(harmed, traffic)
    charging = [asyncio.create_task(charger.charge_until(enough)) for charger in chargers]
    try:
        await killer.run(list(schedule(SEED, KILLS)))
        await eventually(operator.is_healthy, within_s=60)
        enough.set()
        await asyncio.gather(*charging)
    finally:
        await end(charging)
    ledgers = [charger.ledger for charger in chargers]
    await assert_all_there_once(
        operator, harmed.database_url, ledgers, f"SEED={SEED} KILLS={KILLS}", *killer.log
    )
    print(summary(ledgers))
