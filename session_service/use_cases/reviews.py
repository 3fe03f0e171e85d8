"""Questions that are raised after the end."""

from servicekit.clock import Clock
from session_service.ports import ReviewStore

_MOST = 200


class Reviews:
    """Looks at sessions that have ended for what meter values say that came later."""

    def __init__(self, store: ReviewStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def run(self) -> None:
        """Review what is due."""
        while await self._store.review(self._clock.now(), _MOST) == _MOST:
            pass
