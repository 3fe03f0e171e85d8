"""Charge points that do not exist: they boot, charge cars and obey, over real OCPP 1.6J sockets."""
