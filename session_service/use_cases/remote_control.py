"""What operators ask of charge points."""

import uuid
from typing import Generic, TypeVar

from session_service.domain.remote import Order, RemoteStart
from session_service.ports import Commands
from session_service.use_cases.sessions import Sessions

Command = TypeVar("Command")


class RemoteControl(Generic[Command]):
    """Asks charge points to start and to stop sessions; they decide."""

    def __init__(self, sessions: Sessions, commands: Commands[Command]) -> None:
        self._sessions, self._commands = sessions, commands

    async def start(self, start: RemoteStart, order: Order) -> Command:
        """Ask for a session; see the port for what it raises."""
        return await self._commands.remote_start(start, order)

    async def stop(self, session_id: uuid.UUID, order: Order) -> Command:
        """Ask to stop a session; see the port for what else it raises.

        Raises:
            SessionNotFound: There is no session with this id.
            SessionAlreadyEnded: Its charge point has stopped it before.
        """
        session = await self._sessions.get(session_id)
        return await self._commands.remote_stop(session.open_to_a_stop(), order)
