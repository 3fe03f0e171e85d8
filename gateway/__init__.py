"""The gateway: sockets of charge points on one side, gRPC services on the other."""
