"""`python -m device_service` serves; `python -m device_service migrate` updates the schema."""

from device_service.config import Config
from device_service.wiring import SCHEMA, build
from servicekit.config import migrations_folder
from servicekit.lifecycle import run_service

if __name__ == "__main__":
    run_service(
        "device_service", Config, build, schema=SCHEMA, migrations=migrations_folder(__file__)
    )
