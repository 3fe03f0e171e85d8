"""The messages of OCPP 1.6: between JSON and protobuf, and the schemas that they keep to."""
