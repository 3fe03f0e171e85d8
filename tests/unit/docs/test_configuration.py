"""docs/configuration.md tells today's truth."""

from pathlib import Path

import pytest
from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

import auth_service.config
import device_service.config
import gateway.config
import session_service.config
from deploy.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
LINES = PAGE.read_text(encoding="utf-8").splitlines()
CONFIGS: list[type[BaseSettings]] = [
    auth_service.config.Config,
    device_service.config.Config,
    gateway.config.Config,
    session_service.config.Config,
    Settings,
]


def variable(name: str, field: FieldInfo) -> str:
    """Return the environment variable of a setting."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"CSMS_{name.upper()}"


SETTINGS = [
    pytest.param(variable(name, field), field, id=f"{config.__module__}.{name}")
    for config in CONFIGS
    for name, field in config.model_fields.items()
]


@pytest.mark.parametrize(("name", "field"), SETTINGS)
def test_every_setting_is_on_the_page(name: str, field: FieldInfo) -> None:
    description = (field.description or "").lower()
    rows = [line for line in LINES if line.startswith(f"| `{name}` ")]
    assert any(description in row.lower() for row in rows)


def test_the_page_names_no_setting_that_is_gone() -> None:
    named = {line.split("`")[1] for line in LINES if line.startswith("| `")}
    assert named == {setting.values[0] for setting in SETTINGS}
