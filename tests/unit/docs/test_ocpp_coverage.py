"""docs/ocpp-coverage.md names every operation and every certification case, and no other."""

import re
from pathlib import Path

from gateway.ocppj.actions import CENTRAL_SYSTEM_ACTIONS, CHARGE_POINT_ACTIONS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "ocpp-coverage.md"


def operations(section: str) -> set[str]:
    """Return the operations in the table of a section."""
    _, _, text = PAGE.read_text(encoding="utf-8").partition(f"## {section}\n")
    rows = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return {row.split("|")[1].split()[0] for row in rows[1:]}


def test_every_operation_of_charge_points_has_a_row() -> None:
    assert operations("Started by the charge point") == CHARGE_POINT_ACTIONS


def test_every_operation_of_central_systems_has_a_row() -> None:
    assert operations("Started by the central system") == CENTRAL_SYSTEM_ACTIONS


def test_every_certification_case_is_named_beside_its_tests() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## Certification cases\n")[2]
    rows = [line for line in text.splitlines() if line.startswith("| ") and "TC_" in line]
    named = {row.split("`")[1]: set(re.findall(r"TC_[\d_]+", row)) for row in rows}
    files = (ROOT / "tests" / "conformance").glob("test_*.py")
    assert named == {str(file.relative_to(ROOT)): cases(file) for file in files}


def cases(file: Path) -> set[str]:
    """Return the cases after which the tests of a file are named."""
    names = re.findall(r"def test_tc_(\d+(?:_\d)?)_", file.read_text(encoding="utf-8"))
    return {f"TC_{name}" for name in names}
