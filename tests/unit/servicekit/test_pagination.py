"""Page sizes and page tokens."""

import base64
import json

import orjson
import pytest

from servicekit.errors import InvalidPageToken
from servicekit.pagination import MOST_WEIGHT, page_request, page_size, weight


def token_after(key: tuple[str, ...], *filters: object) -> str:
    request = page_request(1, "", *filters, key_length=len(key))
    return request.page(["shown", "more"], 2, lambda _: key).next_page_token


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000)])
def test_page_size_has_a_default_and_a_limit(asked: int, given: int) -> None:
    assert page_size(asked) == given


def test_negative_page_size_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        page_size(-1)


def test_first_page_begins_at_the_top() -> None:
    assert page_request(10, "").after is None


@pytest.mark.parametrize("key", [("a", "b"), ("", ""), ("é\n", '"]'), ("x" * 500, "🔌")])
def test_token_brings_the_sort_key_back(key: tuple[str, ...]) -> None:
    assert page_request(1, token_after(key, "filter"), "filter").after == key


def test_page_ends_where_the_rows_end() -> None:
    request = page_request(2, "")
    page = request.page(["a", "b"], 2, lambda row: (row, row))
    assert (page.rows, page.next_page_token, page.total_size) == (["a", "b"], "", 2)


def test_page_holds_back_the_row_that_proves_another_page() -> None:
    page = page_request(2, "").page(["a", "b", "c"], 9, lambda row: (row, row))
    assert page.rows == ["a", "b"]
    assert page_request(2, page.next_page_token).after == ("b", "b")


def test_page_ends_before_it_is_too_heavy_and_the_next_goes_on() -> None:
    rows, weights = "abcd", {"a": MOST_WEIGHT - 1, "b": 1, "c": 1, "d": 1}
    page = page_request(4, "").page(rows, 4, lambda row: (row, row), weights.__getitem__)
    assert page.rows == "ab"
    assert page_request(4, page.next_page_token).after == ("b", "b")


def test_page_holds_a_row_however_heavy_it_is() -> None:
    page = page_request(4, "").page("ab", 2, lambda row: (row, row), lambda _: 2 * MOST_WEIGHT)
    assert page.rows == "a"
    assert page.next_page_token


@pytest.mark.parametrize("text", ["", "plain", "\0" * 999, '"' * 999, "<" * 999, "é🔌" * 99])
def test_weight_is_not_less_than_what_json_takes(text: str) -> None:
    assert weight(text, b"") >= len(json.dumps({"text": text}))


@pytest.mark.parametrize(
    "filters", [(), ("other",), ("filter", None), (None,), ("filter", "filter")]
)
def test_token_is_bound_to_its_filters(filters: tuple[object, ...]) -> None:
    token = token_after(("a", "b"), "filter")
    with pytest.raises(InvalidPageToken, match="other filters"):
        page_request(1, token, *filters)


def encoded(parts: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "====",
        "\0",
        "A" * 10_000,
        encoded({}),
        encoded([]),
        encoded(None),
        encoded(["digest", "one"]),
        encoded(["digest", "one", 2]),
        encoded(["digest", "one", "NUL \0"]),
        encoded([["digest"], "one", "two"]),
    ],
)
def test_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidPageToken, match="not one that this list made"):
        page_request(1, token)


def test_token_of_a_longer_sort_key_is_refused() -> None:
    with pytest.raises(InvalidPageToken):
        page_request(1, token_after(("a", "b", "c")), key_length=2)
