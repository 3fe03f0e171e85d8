"""Starts voltmesh: the embedded runner, Envoy's configuration, what is made from the protos."""
