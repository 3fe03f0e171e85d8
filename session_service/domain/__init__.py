"""The rules of charging sessions and meter values: pure, without floats."""
