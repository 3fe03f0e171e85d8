"""Takes secrets out of the text of a frame, so that people may see it."""

import re
from typing import Any, Final

import orjson

MASK: Final = "***"
_AUTHORIZATION_KEY: Final = (
    "authorizationkey"  # the Basic password (OCPP 1.6 security white paper, 4.1)
)
_PASSWORD: Final = re.compile(r"(:(?:\\?/){2}[^/:]*:).+")  # in what stands before an @
_BETWEEN_WORDS: Final = re.compile(r'([\s"])')
_FROM_PAYLOAD: Final = re.compile(rf"(\{{|{_AUTHORIZATION_KEY}).*", re.IGNORECASE | re.DOTALL)


def mask(text: str, action: str = "") -> str:
    """Return a frame's text without passwords in URLs and without values of AuthorizationKey.

    A text without secrets comes back as it is. Frames of DataTransfer are left alone: what they
    carry is between the vendor and the operator.

    Args:
        text: The frame.
        action: The action that it belongs to; empty when that is not known.
    """
    if action == "DataTransfer":
        return text
    text = _without_passwords(text)
    if _AUTHORIZATION_KEY not in text.lower():
        return text
    try:
        return orjson.dumps(_without_secrets(orjson.loads(text))).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        # No JSON, or nested beyond reason: the secret may stand anywhere.
        return _FROM_PAYLOAD.sub(rf"\1{MASK}", text)


def _without_passwords(text: str) -> str:
    """Return a text without what stands between `://user:` and `@`.

    It is cut at each `@` first: a search through the whole would take the square of the length of
    a text that was made for it, and nobody else is served meanwhile.
    """
    *before, rest = text.split("@")
    return "@".join([*map(_without_password, before), rest])


def _without_password(text: str) -> str:
    *before, url = _BETWEEN_WORDS.split(text)
    return "".join([*before, _PASSWORD.sub(rf"\1{MASK}", url)])


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    names_key = any(_is_secret(name, item) for name, item in value.items())
    return {
        name: MASK if names_key and name.lower() == "value" else _without_secrets(item)
        for name, item in value.items()
    }


def _is_secret(name: str, item: Any) -> bool:
    """Tell whether a member names the secret; chargers write members' names in any case."""
    return name.lower() == "key" and str(item).strip().lower() == _AUTHORIZATION_KEY
