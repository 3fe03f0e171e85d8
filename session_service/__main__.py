"""`python -m session_service` serves; `python -m session_service migrate` updates the schema."""

from servicekit.config import migrations_folder
from servicekit.lifecycle import run_service
from session_service.config import Config
from session_service.wiring import SCHEMA, build

if __name__ == "__main__":
    run_service(
        "session_service", Config, build, schema=SCHEMA, migrations=migrations_folder(__file__)
    )
