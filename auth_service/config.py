"""Settings of auth_service."""

from servicekit.config import ServiceConfig


class Config(ServiceConfig):
    """What auth_service can be told."""
