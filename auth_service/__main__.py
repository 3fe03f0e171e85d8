"""`python -m auth_service` serves; `python -m auth_service migrate` updates the schema."""

from auth_service.config import Config
from auth_service.wiring import SCHEMA, build
from servicekit.config import migrations_folder
from servicekit.lifecycle import run_service

if __name__ == "__main__":
    run_service(
        "auth_service", Config, build, schema=SCHEMA, migrations=migrations_folder(__file__)
    )
