"""Settings of the gateway."""

from pydantic import Field

from servicekit.config import Address, Addresses, ProcessConfig


class Config(ProcessConfig):
    """What a gateway can be told."""

    gateway_id: str = Field(
        "gateway", min_length=1, max_length=100, description="name of the gateway, for people"
    )
    auth_address: Address = Field(description="host:port of auth_service")
    session_address: Address = Field(description="host:port of session_service")
    device_address: Addresses = Field(
        description="host:port of device_service, or those of its replicas with commas between them"
    )
    call_timeout_s: float = Field(
        25,
        gt=0,
        le=600,
        description="seconds a service has for an answer; chargers give up after about 30",
    )
    authorize_fallback: str = Field(
        "Invalid",
        pattern="^(Accepted|Blocked|Expired|Invalid)$",
        description="answer to Authorize while auth_service is away",
    )
    max_connections: int = Field(20_000, ge=1, description="sockets of one gateway")
    max_frame_bytes: int = Field(
        262_144,
        ge=65_536,
        le=4_194_304,
        description="largest frame; a socket that sends more is closed (1009)",
    )
    max_frames_per_second: float = Field(
        200, gt=0, description="frames that one charger may send; beyond it is read more slowly"
    )
    ping_interval_s: float = Field(25, gt=0, description="seconds between pings to a charger")
    ping_timeout_s: float = Field(
        60, gt=0, description="seconds without a pong after which a socket is closed"
    )
    superseded_grace_s: float = Field(
        300,
        gt=0,
        description="seconds that a socket may stay after a newer one of the same charger",
    )
    admission_cache_s: float = Field(
        30, ge=0, description="seconds for which an admitted charger is admitted without asking"
    )
    journal_frames: int = Field(
        200, ge=1, le=10_000, description="frames of each connected charger kept for live view"
    )
    journal_bytes: int = Field(
        65_536, ge=1024, description="most memory for the kept frames of one charger"
    )

    @property
    def device_addresses(self) -> list[str]:
        """The replicas of device_service."""
        return self.device_address.split(",")
