"""Sessions, meter values and quarantine in PostgreSQL."""
