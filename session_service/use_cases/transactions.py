"""What charge points report."""

import dataclasses

import structlog

from servicekit.clock import Clock
from servicekit.errors import ServiceUnavailable
from servicekit.ids import IdSource
from session_service.domain.facts import (
    IdTagInfo,
    Receipt,
    Start,
    StartAnswer,
    StartKey,
    Stop,
)
from session_service.domain.quarantine import QuarantineEntry
from session_service.ports import Authorizations, Records

log = structlog.get_logger()

_START_CHECK_S = 5.0
_STOP_CHECK_S = 2.0


class Transactions:
    """Keeps what charge points report; whatever returns is durable."""

    def __init__(
        self,
        records: Records,
        authorizations: Authorizations,
        clock: Clock,
        new_id: IdSource,
    ) -> None:
        self._records, self._authorizations = records, authorizations
        self._clock, self._new_id = clock, new_id

    async def start(
        self, key: StartKey, reservation_id: int | None, receipt: Receipt
    ) -> StartAnswer:
        """Begin a session; a repeat gets the answer of the first time, whatever the tag is now.

        Raises:
            ServiceUnavailable: The tag cannot be checked now.
        """
        known = await self._records.find_start(key)
        if known is not None:
            return known
        check = await self._authorizations.check(
            key.id_tag, key.charge_point_id, timeout_s=_START_CHECK_S
        )
        now = self._clock.now()
        return await self._records.start(
            Start(self._new_id(), key, reservation_id, receipt, now, check)
        )

    async def stop(self, stop: Stop) -> IdTagInfo | None:
        """End a session; tell about its tag, if there is one and auth_service is there."""
        if stop.id_tag:
            info = await self._info(stop.id_tag, stop.charge_point_id)
            stop = dataclasses.replace(stop, id_tag_info=info)
        return await self._records.stop(stop)

    async def quarantine(self, entry: QuarantineEntry) -> None:
        """Keep what could not be placed."""
        await self._records.quarantine(entry)

    async def _info(self, id_tag: str, charge_point_id: str) -> IdTagInfo | None:
        try:
            check = await self._authorizations.check(
                id_tag, charge_point_id, timeout_s=_STOP_CHECK_S
            )
        except ServiceUnavailable as error:
            log.warning("stop_tag_unchecked", charge_point=charge_point_id, error=error.message)
            return None
        return check.info
