"""Settings of session_service."""

from pydantic import Field

from servicekit.config import Address, Addresses, ServiceConfig


class Config(ServiceConfig):
    """What session_service can be told."""

    auth_address: Address = Field(description="host:port of auth_service")
    device_address: Addresses = Field(
        description="host:port of device_service, or those of its replicas with commas between them"
    )
