"""Ends that no stop made."""

import uuid
from datetime import timedelta

import structlog

from servicekit.clock import Clock
from session_service.domain.ends import Closing
from session_service.domain.sessions import Session
from session_service.domain.silence import Patience, Sighting, reason_to_give_up
from session_service.ports import ChargePoints, EndingStore

log = structlog.get_logger()

_FIRST = uuid.UUID(int=0)
_MOST = 200
_FOLLOWED_FOR = timedelta(days=30)


class Endings:
    """Gives up sessions whose stop does not come, and closes those that operators name.

    Every such end gives way to the stop of the charge point, whenever it arrives.
    """

    def __init__(
        self, store: EndingStore, charge_points: ChargePoints, clock: Clock, patience: Patience
    ) -> None:
        self._store, self._charge_points = store, charge_points
        self._clock, self._patience = clock, patience

    async def close(self, session_id: uuid.UUID, closing: Closing) -> Session:
        """Close a session; see the port for what it raises."""
        return await self._store.close(session_id, closing, self._clock.now())

    async def tend(self) -> None:
        """Give up what has gone quiet, and let inferred ends follow the readings that came since.

        Raises:
            ServiceUnavailable: device_service cannot be asked now.
        """
        await self._follow()
        before = self._clock.now() - min(self._patience.after_boot, self._patience.silence)
        after = _FIRST
        while quiet := await self._store.quiet(before, after, _MOST):
            sightings = await self._charge_points.sightings({it.charge_point_id for it in quiet})
            now = self._clock.now()
            for session in quiet:
                sighting = sightings.get(session.charge_point_id, Sighting())
                why = reason_to_give_up(session, sighting, self._patience, now)
                if why is not None and await self._store.give_up(session, why, now):
                    log.info("session_given_up", session=str(session.session_id), why=why.value)
            after = quiet[-1].session_id

    async def _follow(self) -> None:
        """Go through all of them: some have readings that tell no register, and cannot follow."""
        since, after = self._clock.now() - _FOLLOWED_FOR, _FIRST
        while outlived := await self._store.outlived(since, after, _MOST):
            for session_id in outlived:
                await self._store.follow(session_id)
            after = outlived[-1]
