from datetime import UTC, datetime, timedelta

import pytest

from simulator import trains
from simulator.trains import Train

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def words(train: Train) -> str:
    return " ".join(step.status for step in train)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://x/f-2.bin", "Downloading Downloaded Installing Installed"),
        ("https://x/FAIL", "Downloading DownloadFailed"),
        ("https://x/install-fail", "Downloading Downloaded Installing InstallationFailed"),
    ],
)
def test_the_url_says_how_an_update_goes(location: str, expected: str) -> None:
    train = trains.firmware(location, LATER)
    assert words(train) == expected
    assert train[0].not_before == LATER
    assert train[-1].after_reboot == (train[-1].status == "Installed")


@pytest.mark.parametrize(
    ("location", "retrieve", "install", "expected"),
    [
        (
            "https://x/f",
            LATER,
            LATER,
            (
                "DownloadScheduled Downloading Downloaded SignatureVerified InstallScheduled "
                "Installing InstallRebooting Installed"
            ),
        ),
        ("https://x/fail-signature", NOW, None, "Downloading Downloaded InvalidSignature"),
        ("https://x/fail", NOW, None, "Downloading DownloadFailed"),
        (
            "https://x/fail-install",
            NOW,
            NOW,
            "Downloading Downloaded SignatureVerified Installing InstallationFailed",
        ),
    ],
)
def test_a_signed_update_is_scheduled_and_checked(
    location: str, retrieve: datetime, install: datetime | None, expected: str
) -> None:
    assert words(trains.signed_firmware(location, retrieve, install, NOW)) == expected


def test_uploads_succeed_or_fail() -> None:
    assert words(trains.diagnostics("ftp://x/y")) == "Uploading Uploaded"
    assert words(trains.diagnostics("ftp://x/fail")) == "Uploading UploadFailed"
    assert words(trains.log("ftp://x/y")) == "Uploading Uploaded"
    assert words(trains.log("ftp://x/fail")) == "Uploading UploadFailure"


def test_a_version_is_found_in_the_file_name_only() -> None:
    assert trains.version_in("https://10.0.0.1/kerb-2.5.0.bin") == "2.5.0"
    assert trains.version_in("https://10.0.0.1/kerb.bin") is None
