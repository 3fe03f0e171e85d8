"""The whole platform, as `make run` starts it, on ports and in folders of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from deploy import ports
from deploy.embedded import Platform
from deploy.settings import Settings


def settings(folder: Path, **values: object) -> Settings:
    """Return settings that use free ports and keep everything in a folder."""
    names = ("auth", "session", "device", "device_replicas", "redis", "gateway", "envoy_admin")
    free = {"port": ports.free(), **{f"{name}_port": ports.free() for name in names}}
    return Settings.model_validate(
        {**free, "data": folder / "data", "build": folder / "build", "fleet": 0, **values}
    )


@asynccontextmanager
async def running_platform(
    folder: Path, *, extra_env: Mapping[str, Mapping[str, str]] | None = None, **values: object
) -> AsyncIterator[Platform]:
    """Run a platform for the length of the block.

    Args:
        folder: Where its data, logs and generated files go.
        extra_env: More environment variables for a part, by its name.
        values: Settings of the runner, such as `database_url`.
    """
    async with Platform(settings(folder, **values), extra_env=extra_env) as platform:
        yield platform


def assert_no_traceback(platform: Platform, *parts: str) -> None:
    """Fail when a part has logged an unhandled exception."""
    for part in parts or ("auth_service", "session_service", "device_service", "gateway"):
        log = platform.logs(part)
        assert "Traceback" not in log, f"{part} logged:\n{log[-4000:]}"
