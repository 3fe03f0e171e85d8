"""Certificates, keys and passwords."""

from ocpp.v16 import call

from tests.integration.simulator.central_system import CentralSystem
from tests.integration.simulator.commands import idle
from tests.support.made_certificates import a_certificate
from tests.support.waiting import until

ROOT = "CentralSystemRootCertificate"


async def test_root_certificates_come_and_go(central: CentralSystem) -> None:
    async with idle(central):
        ids = call.GetInstalledCertificateIds(certificate_type=ROOT)
        assert (await central.call(ids)).status == "NotFound"
        request = call.InstallCertificate(certificate_type=ROOT, certificate=a_certificate())
        assert (await central.call(request)).status == "Accepted"
        request = call.InstallCertificate(certificate_type=ROOT, certificate="nonsense")
        assert (await central.call(request)).status == "Rejected"
        [hash_data] = (await central.call(ids)).certificate_hash_data
        for status in ("Accepted", "NotFound"):
            answer = await central.call(call.DeleteCertificate(certificate_hash_data=hash_data))
            assert answer.status == status
        await until(lambda: central.payloads("SecurityEventNotification"))
    [event] = central.payloads("SecurityEventNotification")
    assert event["type"] == "InvalidCentralSystemCertificate"


async def test_a_certificate_has_to_fit_the_key(central: CentralSystem) -> None:
    async with idle(central) as charge_point:
        request = call.ExtendedTriggerMessage(requested_message="SignChargePointCertificate")
        assert (await central.call(request)).status == "Accepted"
        await until(lambda: central.payloads("SignCertificate"))
        for key, status in ((charge_point.key, "Accepted"), (None, "Rejected")):
            chain = a_certificate(key, subject="CP-1", issuer="Root")
            answer = await central.call(call.CertificateSigned(certificate_chain=chain))
            assert answer.status == status
        await until(lambda: central.payloads("SecurityEventNotification"))
    assert central.payloads("SignCertificate")[0]["csr"].startswith("-----BEGIN CERTIFICATE REQ")


async def test_a_new_password_is_used_at_once(central: CentralSystem) -> None:
    async with idle(central):
        assert "Authorization" not in central.headers
        request = call.ChangeConfiguration(key="AuthorizationKey", value="sixteen-letters-")
        assert (await central.call(request)).status == "Accepted"
        await until(lambda: central.connections == 2)
        assert central.headers["Authorization"].startswith("Basic ")
        answer = await central.call(call.GetConfiguration(key=["AuthorizationKey"]))
        assert "value" not in answer.configuration_key[0]
