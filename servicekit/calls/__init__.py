"""The batched call stream between gateways and services: client half and server half.

One long-lived stream per gateway and service carries batches of whatever queued since the last
write. A unary call for each message costs thirty to fifty times more CPU (ADR 0004).
"""
