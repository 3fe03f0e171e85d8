"""Answers the operations about certificates (white paper "Improved security", section 5)."""

from typing import Any

from ocpp.v16 import call_result

from simulator.certificates import NotACertificate, parse_certificates
from simulator.controls import Controls


class SecurityCommands:
    """Each method takes the members of a request as keywords and returns the answer."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def certificate_signed(self, **request: Any) -> Any:
        """Answer CertificateSigned: the certificate has to be for the charge point's own key."""
        if self._is_ours(request["certificate_chain"]):
            return call_result.CertificateSigned(status="Accepted")
        self._controls.triggers.security_event("InvalidChargePointCertificate")
        return call_result.CertificateSigned(status="Rejected")

    def install_certificate(self, **request: Any) -> Any:
        """Answer InstallCertificate."""
        use = request["certificate_type"]
        status = self._controls.trust.install(use, request["certificate"], self._controls.now())
        if status != "Accepted" and use == "CentralSystemRootCertificate":
            self._controls.triggers.security_event("InvalidCentralSystemCertificate")
        return call_result.InstallCertificate(status=status)

    def delete_certificate(self, **request: Any) -> Any:
        """Answer DeleteCertificate."""
        status = self._controls.trust.delete(request["certificate_hash_data"])
        return call_result.DeleteCertificate(status=status)

    def get_installed_certificate_ids(self, **request: Any) -> Any:
        """Answer GetInstalledCertificateIds."""
        installed = self._controls.trust.hash_data(request["certificate_type"])
        return call_result.GetInstalledCertificateIds(
            status="Accepted" if installed else "NotFound",
            certificate_hash_data=list(installed) or None,
        )

    def _is_ours(self, pem: str) -> bool:
        try:
            [certificate, *_] = parse_certificates(pem)
        except NotACertificate:
            return False
        ours = certificate.public_key == self._controls.key.public_key
        return ours and certificate.not_after > self._controls.now()
