"""Settings from the environment, checked at start; `docs/configuration.md` has them all."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

Address = Annotated[
    str, StringConstraints(pattern=r"^[^\s/:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$")
]
"""host:port of a socket."""

_ONE = r"([^\s/:,]+|\[[0-9a-fA-F:]+\]):\d{1,5}"
Addresses = Annotated[str, StringConstraints(pattern=rf"^{_ONE}(,{_ONE})*$")]
"""host:port of the sockets of several replicas, with commas between them."""

DatabaseUrl = Annotated[str, StringConstraints(pattern=r"^postgresql://")]


class ProcessConfig(BaseSettings):
    """What every process can be told."""

    model_config = SettingsConfigDict(env_prefix="CSMS_", frozen=True, extra="ignore")

    listen: Address = Field(description="host:port on which the process serves")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least severe log line that is written"
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="json for machines, console for people"
    )
    otlp_endpoint: str = Field(
        "", description="http://host:port of an OTLP/gRPC receiver such as Jaeger; empty: no traces"
    )
    trace_sample_ratio: float = Field(
        0.05, ge=0, le=1, description="share of MeterValues and Heartbeats that are traced"
    )


class ServiceConfig(ProcessConfig):
    """What every service with a database can be told."""

    database_url: DatabaseUrl = Field(
        description="postgresql://user:password@host:port/database of PostgreSQL 15 to 18"
    )
    database_pool_size: int = Field(8, ge=1, le=100, description="connections kept to the database")
    database_timeout_s: float = Field(
        20, gt=0, le=300, description="seconds after which a statement is given up"
    )
    max_calls_in_flight: int = Field(
        4000, ge=1, description="calls of one gateway that are worked on at the same time"
    )


def migrations_folder(package_file: str) -> Path:
    """Return the folder of a service's migrations, beside the given module."""
    return Path(package_file).parent / "migrations"
