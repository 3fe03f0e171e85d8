"""Which programs voltmesh consists of, and what each is told."""

import os
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from deploy import envoy, openapi, ports, protos, redis
from deploy.process import Process, always_ready
from deploy.settings import ROOT, Settings

SERVICES = ("auth_service", "session_service", "device_service")
LOOPBACK = "127.0.0.1"
ENVOY = (
    str(Path(sys.executable).with_name("envoy")),
    *("--log-level", "warning"),
    *("--file-flush-interval-msec", "1000"),
    "--disable-hot-restart",  # its shared memory would tie the Envoys of one machine together
)
MOST_CONNECTIONS = 20_000
SPARE_FILES = 1000
SERVICE_STOP_S = 5.0
"""A service answers what it has read, and device_service lets gateways link elsewhere first."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the parts of one installation listen, as host:port."""

    public: str
    envoy_admin_port: int
    services: Mapping[str, str]
    """With several replicas of device_service, `device_service-2` and so on as well."""
    gateways: Mapping[str, str]
    redis: str = ""
    """Empty: there is one replica, which needs none."""

    @property
    def device_services(self) -> tuple[str, ...]:
        """The replicas of device_service."""
        names = (name for name in self.services if name.startswith("device_service"))
        return tuple(self.services[name] for name in names)


def lay_out(settings: Settings) -> Layout:
    """Return free addresses for all parts.

    Raises:
        ports.PortInUseError: a port is taken.
    """
    first = settings.gateway_port
    wanted = {
        "auth_service": settings.auth_port,
        "session_service": settings.session_port,
        "device_service": settings.device_port,
    }
    replicas_port, several = settings.device_replicas_port, settings.device_replicas > 1
    replicas = {
        _numbered("device_service", index): _address(
            LOOPBACK, replicas_port and replicas_port + index - 1, "CSMS_DEVICE_REPLICAS_PORT"
        )
        for index in range(1, settings.device_replicas)
    }
    redis = _address(LOOPBACK, settings.redis_port, "CSMS_REDIS_PORT") if several else ""
    return Layout(
        redis=redis,
        public=_address(settings.host, settings.port, "CSMS_PORT"),
        envoy_admin_port=ports.claim(LOOPBACK, settings.envoy_admin_port, "CSMS_ENVOY_ADMIN_PORT"),
        services={
            name: _address(LOOPBACK, port, f"CSMS_{name.removesuffix('_service').upper()}_PORT")
            for name, port in wanted.items()
        }
        | replicas,
        gateways={
            gateway_name(index): _address(LOOPBACK, first and first + index, "CSMS_GATEWAY_PORT")
            for index in range(settings.gateways)
        },
    )


def gateway_name(index: int) -> str:
    """Return `gateway` for the first, `gateway-2` for the second."""
    return _numbered("gateway", index)


def _numbered(name: str, index: int) -> str:
    return f"{name}-{index + 1}" if index else name


def _address(host: str, port: int, setting: str) -> str:
    return f"{host}:{ports.claim(host, port, setting)}"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Makes the processes of one installation."""

    settings: Settings
    layout: Layout
    database_url: str
    extra_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """More environment variables, by name of the process."""

    def service(self, name: str) -> Process:
        """Return a service; it is ready when its health check says SERVING."""
        address = self.layout.services[name]
        program = name.partition("-")[0]
        env = {"CSMS_LISTEN": address}
        if program == "device_service" and self.layout.redis:
            env["CSMS_REDIS_URL"] = redis.url(self.layout.redis)
        return self._python(
            name, [program], env, partial(ports.serving, address), stop_timeout_s=SERVICE_STOP_S
        )

    def redis(self) -> Process:
        """Return the Redis by which replicas find each other."""
        return redis.redis_server(self.layout.redis, self._log("redis"))

    def migration(self, service: str) -> Process:
        """Return the program that brings a service's schema up to date and ends."""
        return Process(
            f"{service} migrate",
            [sys.executable, "-m", service, "migrate"],
            self._log(f"{service}.migrate"),
            env=self._env(service, {"CSMS_LISTEN": self.layout.services[service]}),
        )

    def gateway(self, name: str) -> Process:
        """Return a gateway; it is ready when it answers, though a service may be away."""
        address = self.layout.gateways[name]
        env = {"CSMS_LISTEN": address, "CSMS_GATEWAY_ID": name}
        return self._python(name, ["gateway"], env, partial(ports.answering, address))

    def envoy(self) -> Process:
        """Return Envoy; it is ready when it answers."""
        config = self.settings.build.resolve() / "envoy.yaml"
        return Process(
            "envoy",
            [*ENVOY, "-c", str(config)],
            self._log("envoy"),
            ready=partial(ports.answering, reachable(self.layout.public)),
            stop_timeout_s=1.5,
        )

    def fleet(self) -> Process:
        """Return the simulated charge points."""
        url = f"ws://{reachable(self.layout.public)}/ocpp"
        arguments = ["simulator", "--url", url, "--count", str(self.settings.fleet)]
        return self._python("fleet", arguments, {}, stop_timeout_s=2.5)

    def write_envoy_config(self) -> None:
        """Write what Envoy reads: its configuration, the descriptors, the OpenAPI document."""
        build = self.settings.build.resolve()
        build.mkdir(parents=True, exist_ok=True)
        descriptors, document = build / "csms.binpb", build / "openapi.json"
        protos.write_descriptor_set(descriptors)
        openapi.write(FileDescriptorSet.FromString(descriptors.read_bytes()), document)
        host, _, port = self.layout.public.rpartition(":")
        config = envoy.EnvoyConfig(
            descriptor_set=descriptors,
            openapi=document,
            host=host,
            port=int(port),
            admin_port=self.layout.envoy_admin_port,
            gateways=tuple(self.layout.gateways.values()),
            device_services=self.layout.device_services,
            session_service=self.layout.services["session_service"],
            auth_service=self.layout.services["auth_service"],
            max_connections=_most_connections(),
        )
        (build / "envoy.yaml").write_text(envoy.render(config), encoding="utf-8")

    def _python(
        self,
        name: str,
        arguments: list[str],
        env: Mapping[str, str],
        ready: Callable[[], Awaitable[bool]] = always_ready,
        *,
        stop_timeout_s: float = 2,
    ) -> Process:
        return Process(
            name,
            [sys.executable, "-m", *arguments],
            self._log(name),
            env=self._env(name, env),
            ready=ready,
            stop_timeout_s=stop_timeout_s,
        )

    def _log(self, name: str) -> Path:
        folder = self.settings.data.resolve() / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"

    def _env(self, name: str, own: Mapping[str, str]) -> dict[str, str]:
        given = os.environ.get("PYTHONPATH")
        path = [*([given] if given else []), str(ROOT), str(ROOT / "protos" / "gen")]
        defaults = {
            "CSMS_LOG_FORMAT": "console",
            "CSMS_UNKNOWN_CHARGE_POINTS": "accept",
            "PYTHONUNBUFFERED": "1",
        }
        common = {
            "PYTHONPATH": os.pathsep.join(path),
            "PYTHONSAFEPATH": "1",  # the folder that the runner stands in does not matter
            "CSMS_DATABASE_URL": self.database_url,
            "CSMS_AUTH_ADDRESS": self.layout.services["auth_service"],
            "CSMS_SESSION_ADDRESS": self.layout.services["session_service"],
            "CSMS_DEVICE_ADDRESS": ",".join(self.layout.device_services),
        }
        return {**defaults, **os.environ, **common, **own, **self.extra_env.get(name, {})}


def reachable(address: str) -> str:
    """Return an address to connect to, also when the server listens on every interface."""
    return address.replace("0.0.0.0:", f"{LOOPBACK}:")


def _most_connections() -> int:
    """Return how many connections Envoy may hold: each needs a second one to the gateway."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, (files - SPARE_FILES) // 2))
