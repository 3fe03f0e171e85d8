"""What the embedded runner can be told, by environment variables."""

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).parents[1]


class Settings(BaseSettings):
    """Every variable begins with CSMS_; FLEET, GATEWAYS and DEVICE_REPLICAS may do without.

    Port 0 picks any.
    """

    model_config = SettingsConfigDict(
        env_prefix="CSMS_", frozen=True, extra="ignore", populate_by_name=True
    )

    data: Path = Field(ROOT / "data", description="folder of the database and the logs")
    build: Path = Field(ROOT / "build" / "embedded", description="folder of what is generated")
    database_url: str = Field(
        "", description="postgresql://… of your own PostgreSQL; empty: the embedded one"
    )
    host: str = Field("127.0.0.1", description="address of the public port")
    port: int = Field(8080, ge=0, le=65535, description="public port: REST, gRPC, OCPP")
    envoy_admin_port: int = Field(9901, ge=0, le=65535, description="Envoy's admin interface")
    auth_port: int = Field(9101, ge=0, le=65535, description="auth_service")
    session_port: int = Field(9102, ge=0, le=65535, description="session_service")
    device_port: int = Field(9103, ge=0, le=65535, description="device_service")
    device_replicas_port: int = Field(
        9300, ge=0, le=65500, description="second replica of device_service; others follow"
    )
    redis_port: int = Field(
        9104, ge=0, le=65535, description="Redis, which runs for several replicas only"
    )
    gateway_port: int = Field(9200, ge=0, le=65500, description="first gateway; others follow")
    fleet: int = Field(
        3,
        ge=0,
        le=1000,
        validation_alias=AliasChoices("FLEET", "CSMS_FLEET"),
        description="simulated charge points",
    )
    gateways: int = Field(
        1,
        ge=1,
        le=32,
        validation_alias=AliasChoices("GATEWAYS", "CSMS_GATEWAYS"),
        description="gateway processes",
    )
    device_replicas: int = Field(
        1,
        ge=1,
        le=16,
        validation_alias=AliasChoices("DEVICE_REPLICAS", "CSMS_DEVICE_REPLICAS"),
        description="processes of device_service",
    )
    migration_timeout_s: float = Field(
        60, gt=0, description="seconds that the migrations of a service may take"
    )
