"""Which replica holds the link of a charge point's gateway."""

from device_service.registry.memory import Board, MemoryRegistry
from device_service.registry.redis import RedisRegistry

__all__ = ["Board", "MemoryRegistry", "RedisRegistry"]
