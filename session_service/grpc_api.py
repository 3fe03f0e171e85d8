"""The gRPC face of session_service: parse, call, convert."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from csms.v1 import command_service_pb2 as command_pb
from csms.v1 import session_service_pb2 as pb
from csms.v1 import session_service_pb2_grpc as pb_grpc
from servicekit.interceptors import Context
from session_service.convert import api as convert
from session_service.convert import api_meter_values as convert_meter_values
from session_service.convert import events as convert_events
from session_service.convert import quarantine as convert_quarantine
from session_service.convert import remote as convert_remote
from session_service.use_cases import (
    Endings,
    MeterValues,
    Quarantine,
    RemoteControl,
    Sessions,
    Watch,
)


class SessionApi(pb_grpc.SessionServiceServicer):
    """`csms.v1.SessionService`, for operators."""

    def __init__(
        self,
        sessions: Sessions,
        meter_values: MeterValues,
        endings: Endings,
        quarantine: Quarantine,
        *,
        remote: RemoteControl[command_pb.Command],
        watch: Watch,
    ) -> None:
        self._sessions, self._meter_values = sessions, meter_values
        self._endings, self._quarantine, self._remote = endings, quarantine, remote
        self._watch = watch

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server and return the full name of its service."""
        pb_grpc.add_SessionServiceServicer_to_server(self, server)
        return pb.DESCRIPTOR.services_by_name["SessionService"].full_name

    async def GetSession(self, request: pb.GetSessionRequest, context: Context) -> pb.Session:
        """Get one session."""
        session, summary = await self._sessions.show(convert.named(request))
        return convert.to_message(session, summary)

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        """List sessions, newest first."""
        page = await self._sessions.list(*convert.list_request(request))
        return convert.to_list_response(page)

    async def WatchSessions(
        self, request: pb.WatchSessionsRequest, context: Context
    ) -> AsyncIterator[pb.SessionEvent]:
        """Stream what happens to sessions."""
        async with aclosing(self._watch(*convert_events.watch_request(request))) as news:
            async for item in news:
                yield convert_events.to_event(item)

    async def StartSession(
        self, request: pb.StartSessionRequest, context: Context
    ) -> command_pb.Command:
        """Ask a charge point to start a session."""
        metadata = context.invocation_metadata() or ()
        return await self._remote.start(*convert_remote.start_request(request, metadata))

    async def StopSession(
        self, request: pb.StopSessionRequest, context: Context
    ) -> command_pb.Command:
        """Ask the charge point of a session to stop it."""
        metadata = context.invocation_metadata() or ()
        return await self._remote.stop(*convert_remote.stop_request(request, metadata))

    async def CloseSession(self, request: pb.CloseSessionRequest, context: Context) -> pb.Session:
        """Close a session here."""
        metadata = context.invocation_metadata() or ()
        closed = await self._endings.close(*convert.close_request(request, metadata))
        return convert.to_message(closed)

    async def ListMeterValues(
        self, request: pb.ListMeterValuesRequest, context: Context
    ) -> pb.ListMeterValuesResponse:
        """List the meter values of a session or a connector by time."""
        page, wanted = convert_meter_values.list_request(request)
        found = await self._meter_values.list(page, wanted)
        return convert_meter_values.to_response(found, wanted)

    async def ListQuarantineEntries(
        self, request: pb.ListQuarantineEntriesRequest, context: Context
    ) -> pb.ListQuarantineEntriesResponse:
        """List what could not be placed, newest first."""
        page = await self._quarantine.list(*convert_quarantine.list_request(request))
        return convert_quarantine.to_list_response(page)

    async def GetQuarantineEntry(
        self, request: pb.GetQuarantineEntryRequest, context: Context
    ) -> pb.QuarantineEntry:
        """Get one quarantine entry."""
        entry = await self._quarantine.get(convert_quarantine.named(request))
        return convert_quarantine.to_message(entry)

    async def ResolveQuarantineEntry(
        self, request: pb.ResolveQuarantineEntryRequest, context: Context
    ) -> pb.QuarantineEntry:
        """Resolve a quarantine entry."""
        entry_id, comment, session_id = convert_quarantine.resolve_request(request)
        resolved_by = convert.requester(context.invocation_metadata() or ())
        entry = await self._quarantine.resolve(entry_id, comment, resolved_by, session_id)
        return convert_quarantine.to_message(entry)
