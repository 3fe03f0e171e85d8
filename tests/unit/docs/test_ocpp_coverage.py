"""docs/ocpp-coverage.md has a row for every operation, and only for operations."""

from pathlib import Path

from gateway.ocppj.actions import CENTRAL_SYSTEM_ACTIONS, CHARGE_POINT_ACTIONS

PAGE = Path(__file__).parents[3] / "docs" / "ocpp-coverage.md"


def operations(section: str) -> set[str]:
    """Return the operations in the table of a section."""
    _, _, text = PAGE.read_text(encoding="utf-8").partition(f"## {section}\n")
    rows = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return {row.split("|")[1].split()[0] for row in rows[1:]}


def test_every_operation_of_charge_points_has_a_row() -> None:
    assert operations("Started by the charge point") == CHARGE_POINT_ACTIONS


def test_every_operation_of_central_systems_has_a_row() -> None:
    assert operations("Started by the central system") == CENTRAL_SYSTEM_ACTIONS
