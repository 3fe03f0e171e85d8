"""Alembic's entry point; the work is done by servicekit."""

from servicekit.migrations import run_environment

run_environment()
