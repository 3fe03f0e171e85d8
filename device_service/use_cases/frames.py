"""What operators see on the wire of a charge point."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from device_service.domain import ChargePointId
from device_service.domain.frames import Frame
from device_service.ports import FrameSource
from device_service.use_cases.charge_points import ChargePoints


class Frames:
    """Watches the frames of charge points.

    Args:
        charge_points: The register.
        source: Brings the frames.
    """

    def __init__(self, charge_points: ChargePoints, source: FrameSource) -> None:
        self._charge_points, self._source = charge_points, source

    async def watch(self, key: ChargePointId) -> AsyncGenerator[Frame, None]:
        """Yield the frames that are kept, then each as it passes, until the caller has enough.

        Raises:
            ChargePointNotFound: There is none with this identity.
            ChargePointOffline: It is not connected.
            ServiceUnavailable: Another replica holds it, now or from now on; watch again.
        """
        await self._charge_points.get(key)
        async with aclosing(self._source.watch(key)) as frames:
            async for frame in frames:
                yield frame
