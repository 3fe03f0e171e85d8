import pytest

from simulator.__main__ import parser, rest_of


def test_the_arguments_of_the_demo_are_understood() -> None:
    options = parser().parse_args(["--url", "ws://127.0.0.1:8080/ocpp", "--count", "5"])
    assert (options.url, options.count, options.rest) == ("ws://127.0.0.1:8080/ocpp", 5, None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "http://127.0.0.1"],
        ["--url", "ws:///ocpp"],
        ["--rest", "ws://127.0.0.1"],
        ["--count", "0"],
        ["--count", "many"],
        ["--speed", "0"],
        ["--speed", "nan"],
        ["--meter-interval", "-1"],
        ["--prefix", "MUCH-TOO-LONG"],
        ["--prefix", "a/b"],
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(arguments)
    assert ended.value.code == 2
    assert f"argument {arguments[0]}: {arguments[1]!r} is not a" in capsys.readouterr().err


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    text = capsys.readouterr().out
    for action in parser()._actions:
        assert action.option_strings[-1] in text
        assert action.help


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("ws://127.0.0.1:8080/ocpp", "http://127.0.0.1:8080"),
        ("wss://csms.example/ocpp", "https://csms.example"),
    ],
)
def test_the_rest_api_is_looked_for_beside_the_sockets(url: str, rest: str) -> None:
    assert rest_of(url) == rest
