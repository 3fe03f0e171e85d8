"""Uploads and firmware updates: one of each kind at a time, told status by status."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from servicekit.clock import Clock
from simulator.trains import Train

Notify = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Tells the central system something, patiently."""

DIAGNOSTICS, FIRMWARE = "DiagnosticsStatusNotification", "FirmwareStatusNotification"
LOG, SIGNED_FIRMWARE = "LogStatusNotification", "SignedFirmwareStatusNotification"

IDLE: Mapping[str, Any] = {"status": "Idle"}


@dataclass(eq=False)
class _Job:
    """What is under way, and what was told of it last."""

    told: Mapping[str, Any]
    task: asyncio.Task[None] | None = None


class Maintenance:
    """Runs trains of statuses.

    Args:
        notify: Tells the central system something.
        step_s: Seconds between two statuses.
        clock: Says when a step may be taken.
    """

    def __init__(self, notify: Notify, step_s: float, clock: Clock) -> None:
        self._notify, self._step_s, self._clock = notify, step_s, clock
        self._jobs: dict[str, _Job] = {}

    def busy(self, action: str) -> bool:
        """Tell whether a job is under way that reports with this action."""
        return action in self._jobs

    def told(self, action: str) -> Mapping[str, Any]:
        """Return the payload that was last sent with this action, or `IDLE`."""
        return self._jobs[action].told if action in self._jobs else IDLE

    def start(
        self,
        action: str,
        train: Train,
        *,
        request_id: int | None = None,
        reboot: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Run a train in the place of one that reports with the same action.

        Args:
            action: The action that reports its statuses.
            train: The statuses.
            request_id: The requestId of the reports, where they have one.
            reboot: Starts the charge point anew and returns when that is done.
        """
        self.stop(action)
        job = self._jobs[action] = _Job(told=_payload("Idle", None))
        job.task = asyncio.create_task(self._run(job, action, train, request_id, reboot))

    def stop(self, action: str) -> None:
        """End what reports with an action; nothing is told of it any more."""
        job = self._jobs.pop(action, None)
        if job is not None and job.task is not None:
            job.task.cancel()

    def stop_all(self) -> None:
        """End everything."""
        for action in list(self._jobs):
            self.stop(action)

    async def _run(
        self,
        job: _Job,
        action: str,
        train: Train,
        request_id: int | None,
        reboot: Callable[[], Awaitable[None]] | None,
    ) -> None:
        for step in train:
            if step.not_before is not None:
                wait = step.not_before - self._clock.now()
                await asyncio.sleep(max(0.0, wait.total_seconds()))
            if step.after_reboot and reboot is not None:
                await reboot()
            job.told = _payload(step.status, request_id)
            await self._notify(action, job.told)
            await asyncio.sleep(self._step_s)
        if self._jobs.get(action) is job:
            del self._jobs[action]


def _payload(status: str, request_id: int | None) -> Mapping[str, Any]:
    return (
        {"status": status} if request_id is None else {"status": status, "request_id": request_id}
    )
