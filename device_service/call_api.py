"""What charge points say to device_service, over the batched call stream."""

from collections.abc import Mapping

from google.protobuf.message import Message

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16 import core_pb2, firmware_management_pb2, security_pb2
from device_service import ocpp
from device_service.facts import NoticeReported, StatusReported
from device_service.use_cases import Inbox
from servicekit.calls.server import AnyHandler, BatchHandler, CallContext, call_context
from servicekit.ids import IdSource


def handlers(inbox: Inbox, new_id: IdSource) -> Mapping[str, AnyHandler]:
    """Return the handlers of the calls that device_service owns."""
    api = _CallApi(inbox, new_id)
    return {
        "boot_notification": api.boot_notification,
        "status_notification": BatchHandler(
            api.read_status, inbox.store_all, core_pb2.StatusNotificationResponse()
        ),
        "data_transfer": api.data_transfer,
        "diagnostics_status_notification": api.diagnostics_status_notification,
        "firmware_status_notification": api.firmware_status_notification,
        "log_status_notification": api.log_status_notification,
        "security_event_notification": api.security_event_notification,
        "sign_certificate": api.sign_certificate,
        "signed_firmware_status_notification": api.signed_firmware_status_notification,
    }


class _CallApi:
    def __init__(self, inbox: Inbox, new_id: IdSource) -> None:
        self._inbox, self._new_id = inbox, new_id

    async def boot_notification(
        self, context: CallContext, request: core_pb2.BootNotificationRequest
    ) -> core_pb2.BootNotificationResponse:
        answer = await self._inbox.boot(
            context.charge_point_id,
            ocpp.hardware(request),
            context.receive_time,
            ocpp.notice_of_repair(context, request, self._new_id),
        )
        return ocpp.to_boot_response(answer)

    def read_status(self, call: call_pb2.Call) -> StatusReported:
        context, request = call_context(call), call.request.status_notification
        notice = ocpp.notice_of_repair(context, request, self._new_id)
        return StatusReported(ocpp.connector(context, request), notice)

    async def data_transfer(
        self, context: CallContext, request: core_pb2.DataTransferRequest
    ) -> core_pb2.DataTransferResponse:
        known = await self._inbox.data_transfer(self._notice(context, request), request.vendor_id)
        return core_pb2.DataTransferResponse(
            status=core_pb2.DATA_TRANSFER_STATUS_ACCEPTED
            if known
            else core_pb2.DATA_TRANSFER_STATUS_UNKNOWN_VENDOR_ID
        )

    async def diagnostics_status_notification(
        self,
        context: CallContext,
        request: firmware_management_pb2.DiagnosticsStatusNotificationRequest,
    ) -> firmware_management_pb2.DiagnosticsStatusNotificationResponse:
        notice = ocpp.notice(context, request, self._new_id)
        status = ocpp.word(request, "status")
        await self._inbox.store(NoticeReported(notice, diagnostics_status=status))
        return firmware_management_pb2.DiagnosticsStatusNotificationResponse()

    async def firmware_status_notification(
        self,
        context: CallContext,
        request: firmware_management_pb2.FirmwareStatusNotificationRequest,
    ) -> firmware_management_pb2.FirmwareStatusNotificationResponse:
        notice = ocpp.notice(context, request, self._new_id)
        status = ocpp.word(request, "status")
        await self._inbox.store(NoticeReported(notice, firmware_status=status))
        return firmware_management_pb2.FirmwareStatusNotificationResponse()

    async def log_status_notification(
        self, context: CallContext, request: security_pb2.LogStatusNotificationRequest
    ) -> security_pb2.LogStatusNotificationResponse:
        await self._inbox.store(self._notice(context, request))
        return security_pb2.LogStatusNotificationResponse()

    async def security_event_notification(
        self, context: CallContext, request: security_pb2.SecurityEventNotificationRequest
    ) -> security_pb2.SecurityEventNotificationResponse:
        await self._inbox.store(self._notice(context, request))
        return security_pb2.SecurityEventNotificationResponse()

    async def sign_certificate(
        self, context: CallContext, request: security_pb2.SignCertificateRequest
    ) -> security_pb2.SignCertificateResponse:
        """Refuse: the installation has no certificate authority to pass the request on to."""
        await self._inbox.store(self._notice(context, request))
        return security_pb2.SignCertificateResponse(status=security_pb2.GENERIC_STATUS_REJECTED)

    async def signed_firmware_status_notification(
        self, context: CallContext, request: security_pb2.SignedFirmwareStatusNotificationRequest
    ) -> security_pb2.SignedFirmwareStatusNotificationResponse:
        await self._inbox.store(self._notice(context, request))
        return security_pb2.SignedFirmwareStatusNotificationResponse()

    def _notice(self, context: CallContext, request: Message) -> NoticeReported:
        return NoticeReported(ocpp.notice(context, request, self._new_id))
