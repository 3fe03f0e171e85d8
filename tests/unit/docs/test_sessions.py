"""docs/sessions.md tells today's truth."""

from pathlib import Path

import pytest

from session_service.domain.flags import Flag

PAGE = (Path(__file__).parents[3] / "docs" / "sessions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("flag", Flag)
def test_every_flag_is_on_the_page(flag: Flag) -> None:
    assert f"`{flag.value}`" in PAGE
