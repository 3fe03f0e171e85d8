"""The statuses that uploads and firmware updates go through, in order.

Nothing is transferred. What happens is written in the URL: one with `fail` in it fails in the
transfer, with `fail` and `install` at the installation, with `fail` and `signature` (signed
firmware only) when the signature is checked.
"""

import re
from dataclasses import dataclass
from datetime import datetime

_VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One status of a train.

    Attributes:
        status: The status.
        not_before: Before that time it is not reached.
        after_reboot: Whether the charge point starts anew before it.
    """

    status: str
    not_before: datetime | None = None
    after_reboot: bool = False


Train = tuple[Step, ...]


def diagnostics(location: str) -> Train:
    """Return the DiagnosticsStatus train of an upload."""
    return _steps("Uploading", "UploadFailed" if _fails(location) else "Uploaded")


def log(location: str) -> Train:
    """Return the UploadLogStatus train of an upload."""
    return _steps("Uploading", "UploadFailure" if _fails(location) else "Uploaded")


def firmware(location: str, retrieve_time: datetime) -> Train:
    """Return the FirmwareStatus train of an update."""
    download = Step(status="Downloading", not_before=retrieve_time)
    if _fails(location, "install"):
        return download, *_steps("Downloaded", "Installing", "InstallationFailed")
    if _fails(location):
        return download, Step(status="DownloadFailed")
    return download, *_steps("Downloaded", "Installing"), _INSTALLED


def signed_firmware(
    location: str, retrieve_time: datetime, install_time: datetime | None, now: datetime
) -> Train:
    """Return the train of a signed update."""
    scheduled = _steps("DownloadScheduled") if retrieve_time > now else ()
    download = *scheduled, Step(status="Downloading", not_before=retrieve_time)
    if _fails(location, "signature"):
        return *download, *_steps("Downloaded", "InvalidSignature")
    if _fails(location) and not _fails(location, "install"):
        return *download, Step(status="DownloadFailed")
    waiting = _steps("InstallScheduled") if install_time and install_time > now else ()
    install = Step(status="Installing", not_before=install_time)
    verified = *download, *_steps("Downloaded", "SignatureVerified"), *waiting, install
    if _fails(location):
        return *verified, Step(status="InstallationFailed")
    return *verified, Step(status="InstallRebooting"), _INSTALLED


def version_in(location: str) -> str | None:
    """Return the version that a firmware's file name contains, such as 2.5.0."""
    found = _VERSION.search(location.rstrip("/").rpartition("/")[2])
    return found[0][:50] if found else None


_INSTALLED = Step(status="Installed", after_reboot=True)


def _steps(*statuses: str) -> Train:
    return tuple(Step(status=status) for status in statuses)


def _fails(location: str, where: str = "") -> bool:
    return "fail" in location.lower() and where in location.lower()
