"""What charge points report to session_service, over the batched call stream."""

from collections.abc import Mapping

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16 import core_pb2
from servicekit.calls.server import AnyHandler, BatchHandler, CallContext, call_context
from servicekit.ids import IdSource
from session_service.convert import meter_values as convert_meter_values
from session_service.convert import ocpp as convert
from session_service.domain.facts import MeterReport, reservation_id
from session_service.domain.quarantine import QuarantineEntry
from session_service.ports import MeterRecords
from session_service.use_cases import Transactions


def handlers(
    transactions: Transactions, meter_records: MeterRecords, new_id: IdSource
) -> Mapping[str, AnyHandler]:
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

    def read_meter_values(call: call_pb2.Call) -> MeterReport | QuarantineEntry:
        report = convert_meter_values.report(call)
        if not report.meter_values and report.receipt.is_repaired:
            return convert.empty_report(call_context(call), new_id)
        return report

    async def unreadable_frame(context: CallContext, frame: call_pb2.UnreadableFrame) -> None:
        await transactions.quarantine(convert.unreadable_frame(context, frame, new_id))

    return {
        "start_transaction": start_transaction,
        "stop_transaction": stop_transaction,
        "meter_values": BatchHandler(
            read_meter_values, meter_records.report, core_pb2.MeterValuesResponse()
        ),
        "unreadable_frame": unreadable_frame,
    }
