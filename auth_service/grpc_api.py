"""The gRPC face of auth_service: parse, call, convert."""

import grpc
from google.protobuf import empty_pb2

from auth_service import convert
from auth_service.use_cases import Authorize, IdTags
from csms.gateway.v1 import authorization_pb2, authorization_pb2_grpc
from csms.v1 import id_tag_service_pb2 as pb
from csms.v1 import id_tag_service_pb2_grpc as pb_grpc
from servicekit.interceptors import Context


class IdTagApi(pb_grpc.IdTagServiceServicer):
    """`csms.v1.IdTagService`, for operators."""

    def __init__(self, id_tags: IdTags) -> None:
        self._id_tags = id_tags

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server and return the full name of its service."""
        pb_grpc.add_IdTagServiceServicer_to_server(self, server)
        return pb.DESCRIPTOR.services_by_name["IdTagService"].full_name

    async def GetIdTag(self, request: pb.GetIdTagRequest, context: Context) -> pb.IdTag:
        """Get one id tag."""
        return convert.to_message(await self._id_tags.get(convert.named(request)))

    async def ListIdTags(
        self, request: pb.ListIdTagsRequest, context: Context
    ) -> pb.ListIdTagsResponse:
        """List id tags, newest first."""
        return convert.to_list_response(await self._id_tags.list(*convert.list_request(request)))

    async def CreateIdTag(self, request: pb.CreateIdTagRequest, context: Context) -> pb.IdTag:
        """Create an id tag."""
        return convert.to_message(await self._id_tags.create(*convert.create_request(request)))

    async def UpdateIdTag(self, request: pb.UpdateIdTagRequest, context: Context) -> pb.IdTag:
        """Update an id tag."""
        return convert.to_message(await self._id_tags.update(*convert.update_request(request)))

    async def DeleteIdTag(
        self, request: pb.DeleteIdTagRequest, context: Context
    ) -> empty_pb2.Empty:
        """Delete an id tag."""
        await self._id_tags.delete(convert.named(request))
        return empty_pb2.Empty()


class AuthorizationApi(authorization_pb2_grpc.AuthorizationServiceServicer):
    """`csms.gateway.v1.AuthorizationService`, for the other services."""

    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server and return the full name of its service."""
        authorization_pb2_grpc.add_AuthorizationServiceServicer_to_server(self, server)
        return authorization_pb2.DESCRIPTOR.services_by_name["AuthorizationService"].full_name

    async def CheckIdTag(
        self, request: authorization_pb2.CheckIdTagRequest, context: Context
    ) -> authorization_pb2.CheckIdTagResponse:
        """Tell whether an id tag may charge now."""
        return convert.to_check_response(await self._authorize(request.id_tag))
