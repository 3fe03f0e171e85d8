"""What charge points ask auth_service, over the batched call stream."""

from collections.abc import Mapping

from auth_service import convert
from auth_service.use_cases import Authorize
from csms.ocpp.v16 import core_pb2
from servicekit.calls.server import CallContext, Handler


def handlers(authorize: Authorize) -> Mapping[str, Handler]:
    """Return the handlers of the actions that auth_service owns."""

    async def authorize_id_tag(
        _: CallContext, request: core_pb2.AuthorizeRequest
    ) -> core_pb2.AuthorizeResponse:
        authorization = await authorize(request.id_tag)
        return core_pb2.AuthorizeResponse(id_tag_info=convert.to_id_tag_info(authorization))

    return {"authorize": authorize_id_tag}
