import pytest

from simulator.link import read_frame


@pytest.mark.parametrize(
    "text",
    ['[2,"1","Reset",{"type":"Soft"}]', '[3,"1",{}]', '[4,"1","InternalError","",{}]'],
)
def test_frames_of_the_specification_are_read(text: str) -> None:
    assert read_frame(text)[1] == "1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[2]",
        "7",
        '["2","1","Reset",{}]',
        '[2,1,"Reset",{}]',
        '[2,"1",["Reset"],{}]',
        '[2,"1","Reset",{},7]',
        '[2,"1","Reset",{"a":NaN}]',
        '[5,"1"]',
        "[" * 100_000,
        f'[2,"1","Reset",{{"a":{"9" * 5000}}}]',
        b"\xff",
    ],
)
def test_everything_else_is_none(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_frame(text)
