"""Ports for what the tests start, which nothing else on the machine takes by chance.

The kernel gives ports from 32768 up to outgoing connections and to whoever asks for any; a part
that is killed and started again could find its port taken. The ports here lie below, and each
process of the test run begins at a place of its own.
"""

import itertools
import os
import socket

_FIRST, _LAST, _BLOCK = 10_240, 32_000, 8
_begin = os.getpid() * 997 % ((_LAST - _FIRST) // _BLOCK)
_blocks = itertools.cycle(range(_FIRST, _LAST - _BLOCK, _BLOCK))
_unused = itertools.islice(_blocks, _begin, None)


def free_port() -> int:
    """Return the first of eight ports that are free, for a part and for those that follow it."""
    return next(port for port in _unused if all(map(_is_free, range(port, port + _BLOCK))))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
