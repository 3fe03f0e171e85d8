"""What charge points report to session_service, over the batched call stream."""

from collections.abc import Mapping

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16 import core_pb2
from servicekit.calls.server import CallContext, Handler
from servicekit.ids import IdSource
from session_service.convert import ocpp as convert
from session_service.domain.facts import reservation_id
from session_service.use_cases import Transactions


def handlers(transactions: Transactions, new_id: IdSource) -> Mapping[str, Handler]:
    """Return the handlers of the actions that session_service owns."""

    async def start_transaction(
        context: CallContext, request: core_pb2.StartTransactionRequest
    ) -> core_pb2.StartTransactionResponse:
        answer = await transactions.start(
            convert.start_key(context, request),
            reservation_id(request.reservation_id),
            convert.receipt(context),
        )
        return convert.to_start_response(answer)

    async def stop_transaction(
        context: CallContext, request: core_pb2.StopTransactionRequest
    ) -> core_pb2.StopTransactionResponse:
        return convert.to_stop_response(await transactions.stop(convert.stop(context, request)))

    async def meter_values(
        context: CallContext, request: core_pb2.MeterValuesRequest
    ) -> core_pb2.MeterValuesResponse:
        report = convert.report(context, request)
        if report.meter_values:
            await transactions.report(report)
        elif report.receipt.is_repaired:
            await transactions.quarantine(convert.empty_report(context, new_id))
        return core_pb2.MeterValuesResponse()

    async def unreadable_frame(context: CallContext, frame: call_pb2.UnreadableFrame) -> None:
        await transactions.quarantine(convert.unreadable_frame(context, frame, new_id))

    return {
        "start_transaction": start_transaction,
        "stop_transaction": stop_transaction,
        "meter_values": meter_values,
        "unreadable_frame": unreadable_frame,
    }
