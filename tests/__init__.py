"""The tests; what they need comes with `make test`."""

import os

# gRPC's core otherwise reports every closed connection on stderr, between pytest's dots.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
