"""Where actions go, and what is answered while a service is away."""

from csms.ocpp.v16.charge_point_call_pb2 import ChargePointCall
from gateway.ocppj.actions import CHARGE_POINT_ACTIONS
from gateway.routing import ROUTES, Fallbacks, Service
from ocpp16.schemas import Schemas
from tests.fakes.clock import FakeClock

MONEY = {"StartTransaction", "StopTransaction", "MeterValues"}


def test_every_action_of_a_charge_point_has_a_route() -> None:
    assert set(ROUTES) == CHARGE_POINT_ACTIONS - {"Heartbeat"}


def test_every_action_can_be_carried() -> None:
    fields = {name.replace("_", "") for name in ChargePointCall.DESCRIPTOR.fields_by_name}
    assert {action.lower() for action in CHARGE_POINT_ACTIONS} == fields


def test_facts_about_money_are_never_answered_without_their_service() -> None:
    assert {action for action, route in ROUTES.items() if route.fallback is None} >= MONEY
    assert {ROUTES[action].service for action in MONEY} == {Service.SESSION}


def test_only_boot_and_authorize_have_fallbacks() -> None:
    with_fallback = {action for action, route in ROUTES.items() if route.fallback}
    assert with_fallback == {"BootNotification", "Authorize"}


def test_fallbacks_keep_to_their_schemas() -> None:
    schemas, fallbacks = Schemas(), Fallbacks(FakeClock(), "Invalid")
    for action, route in ROUTES.items():
        if route.fallback:
            assert schemas.response(action).is_valid(route.fallback(fallbacks))


def test_rejected_boots_come_back_at_different_times() -> None:
    answers = [Fallbacks(FakeClock(), "Invalid").boot_notification() for _ in range(300)]
    assert {answer["interval"] for answer in answers} == set(range(10, 31))
    assert {answer["status"] for answer in answers} == {"Rejected"}
    assert {answer["currentTime"] for answer in answers} == {"2026-01-02T03:04:05Z"}


def test_authorize_falls_back_to_the_configured_status() -> None:
    assert Fallbacks(FakeClock(), "Accepted").authorize() == {"idTagInfo": {"status": "Accepted"}}
