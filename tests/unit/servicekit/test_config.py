"""Bad settings end a process with a line for each."""

import os
import subprocess
import sys

import pytest

ADDRESSES = {f"CSMS_{name}_ADDRESS": "127.0.0.1:1" for name in ("AUTH", "SESSION", "DEVICE")}


def run(process: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CSMS_")}
    return subprocess.run(
        [sys.executable, "-m", process, *arguments],
        env=clean | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("process", "settings", "named"),
    [
        ("auth_service", {}, {"CSMS_LISTEN", "CSMS_DATABASE_URL"}),
        (
            "auth_service",
            {
                "CSMS_LISTEN": "no port",
                "CSMS_DATABASE_URL": "mysql://somewhere",
                "CSMS_DATABASE_POOL_SIZE": "0",
                "CSMS_LOG_LEVEL": "loud",
            },
            {
                "CSMS_LISTEN",
                "CSMS_DATABASE_URL",
                "CSMS_DATABASE_POOL_SIZE",
                "CSMS_LOG_LEVEL",
            },
        ),
        (
            "gateway",
            {
                **ADDRESSES,
                "CSMS_LISTEN": "127.0.0.1:1",
                "CSMS_AUTHORIZE_FALLBACK": "Perhaps",
                "CSMS_MAX_FRAME_BYTES": "99999999",
            },
            {"CSMS_AUTHORIZE_FALLBACK", "CSMS_MAX_FRAME_BYTES"},
        ),
    ],
)
def test_each_bad_setting_is_named_on_a_line(
    process: str, settings: dict[str, str], named: set[str]
) -> None:
    ended = run(process, **settings)
    lines = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert {line.partition(":")[0] for line in lines} == named
    assert len(lines) == len(named)


def test_password_of_a_bad_url_is_not_shown() -> None:
    ended = run(
        "auth_service", CSMS_LISTEN="127.0.0.1:1", CSMS_DATABASE_URL="mysql://user:s3cret@host"
    )
    assert ended.returncode == 2
    assert "s3cret" not in ended.stderr + ended.stdout


def test_unknown_command_is_refused() -> None:
    ended = run(
        "auth_service",
        "dance",
        CSMS_LISTEN="127.0.0.1:1",
        CSMS_DATABASE_URL="postgresql://nowhere/csms",
    )
    assert ended.returncode == 1
    assert "use serve or migrate" in ended.stderr
