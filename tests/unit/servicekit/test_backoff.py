"""Delays before a retry."""

from servicekit.backoff import Backoff


def test_delay_stays_below_a_bound_that_doubles() -> None:
    for _ in range(200):
        backoff = Backoff(first=0.5, most=4)
        for bound in (0.5, 1, 2, 4, 4, 4):
            assert 0 <= backoff.next_delay() <= bound


def test_bound_is_used_in_full() -> None:
    """Full jitter: delays fill the whole range, so that a fleet spreads out."""
    delays = [Backoff(first=1, most=1).next_delay() for _ in range(2000)]
    assert min(delays) < 0.05
    assert max(delays) > 0.95


def test_bound_grows() -> None:
    grown = []
    for _ in range(200):
        backoff = Backoff(first=0.001, most=1000)
        for _ in range(15):
            backoff.next_delay()
        grown.append(backoff.next_delay())
    assert max(grown) > 16


def test_success_begins_again() -> None:
    for _ in range(200):
        backoff = Backoff(first=0.001, most=1000)
        for _ in range(20):
            backoff.next_delay()
        backoff.reset()
        assert backoff.next_delay() <= 0.001
