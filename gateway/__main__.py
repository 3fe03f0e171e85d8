"""`python -m gateway` serves charge points until SIGTERM."""

import uvloop

from gateway.config import Config
from gateway.wiring import running
from servicekit.lifecycle import collect_garbage_rarely, read_config, stop_signal
from servicekit.logs import configure_logs
from servicekit.telemetry import Tracing


async def main(config: Config) -> None:
    """Run a gateway until the process is told to stop."""
    stopping = stop_signal()
    tracing = Tracing("gateway", config.otlp_endpoint)
    async with running(config, tracing):
        collect_garbage_rarely()
        await stopping.wait()
    tracing.close()


if __name__ == "__main__":
    config = read_config(Config)
    configure_logs("gateway", config.log_level, config.log_format)
    uvloop.run(main(config))
