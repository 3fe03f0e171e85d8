"""Mechanism that all processes share: no charging rule lives here."""
