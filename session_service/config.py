"""Settings of session_service."""

from pydantic import Field

from servicekit.config import Address, ServiceConfig


class Config(ServiceConfig):
    """What session_service can be told."""

    auth_address: Address = Field(description="host:port of auth_service")
