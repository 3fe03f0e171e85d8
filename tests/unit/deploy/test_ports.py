"""Ports that nothing else on the machine takes by chance, and errors that say what to do."""

import socket

import pytest

from deploy import ports

LOOPBACK = "127.0.0.1"
FIRST_OF_THE_KERNEL = 32_768
"""What Linux gives to outgoing connections begins here, unless somebody has set it otherwise."""


def test_a_chosen_port_is_none_that_the_kernel_gives_to_outgoing_connections() -> None:
    chosen = [ports.claim(LOOPBACK, 0, "CSMS_PORT") for _ in range(50)]

    assert max(chosen) + ports._BLOCK <= FIRST_OF_THE_KERNEL


def test_no_port_is_chosen_twice() -> None:
    chosen = [ports.claim(LOOPBACK, 0, "CSMS_PORT") for _ in range(50)]

    assert len(set(chosen)) == 50


def test_ports_beside_a_taken_one_are_not_chosen() -> None:
    with socket.socket() as taken:
        first = ports.free()
        taken.bind((LOOPBACK, first + 1))
        taken.listen()

        round_trip = {ports.free() for _ in range(len(ports._FIRSTS))}

    assert first not in round_trip


def test_a_wanted_port_is_kept() -> None:
    port = ports.free()

    assert ports.claim(LOOPBACK, port, "CSMS_PORT") == port


def test_a_taken_port_is_refused_with_the_setting_that_moves_it() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()

        with pytest.raises(ports.PortInUseError, match=r"in use.*CSMS_GATEWAY_PORT"):
            ports.claim(LOOPBACK, taken.getsockname()[1], "CSMS_GATEWAY_PORT")


@pytest.mark.parametrize("port", [0, 8080])
def test_an_address_of_another_machine_is_refused(port: int) -> None:
    with pytest.raises(ports.PortInUseError, match=r"192\.0\.2\.1 cannot be used"):
        ports.claim("192.0.2.1", port, "CSMS_PORT")
