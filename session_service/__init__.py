"""What was charged: sessions, meter values, and what could not be placed."""
