"""Text messages: what fits in one, and the line that binds a code to a host."""

import pytest

from flows.messaging.asked import Asked
from flows.messaging.message import Message, MessageKind
from flows.messaging.render import Render
from flows.messaging.sms_text import MOST_PARTS, bound_to, encode, segments
from gateway.catalogs import translate_for
from tests.flows.world import START


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("語" * 70, 1),
        ("語" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("`", 1),
        ("\ud800", 1),
    ],
)
def test_segments_are_counted_as_networks_charge_them(text: str, count: int) -> None:
    assert segments(text) == count


def test_a_backtick_is_not_sent_as_something_else() -> None:
    assert not encode("`").is_gsm
    assert encode("§").parts == (b"\x5f",)
    assert encode("\x1b").is_gsm is False


def test_no_letter_is_cut_in_two() -> None:
    for part in encode("a" * 152 + "€" * 20).parts:
        assert not part.endswith(b"\x1b")
    for part in encode("語" * 66 + "😀" * 20).parts:
        assert part[6:].decode("utf-16-be")


def test_nothing_is_sent_that_has_no_end() -> None:
    with pytest.raises(ValueError, match=str(MOST_PARTS + 1)):
        encode("a" * (153 * MOST_PARTS + 1))


def test_a_phone_offers_the_code_on_the_right_host_alone() -> None:
    assert (
        bound_to("123456 is your code.", "sso.example.org", "123456").splitlines()[-1]
        == "@sso.example.org #123456"
    )


def test_the_line_is_left_out_where_it_would_cost_a_message() -> None:
    assert bound_to("a" * 150, "sso.example.org", "123456") == "a" * 150
    assert bound_to("語" * 60, "sso.example.org", "123456") == "語" * 60
    assert bound_to("123456", "", "123456") == "123456"


@pytest.mark.parametrize("locale", ["en", "nl", "de", "fr", "es", "ja", "ar"])
def test_a_code_is_one_message_in_every_language(locale: str) -> None:
    render = Render(organisation="Example Company", languages=translate_for, host="sso.example.org")
    draft = render.in_language(locale).step_up_code(
        "123456", minutes=5, asked=Asked(START, "", ""), reference="7K2M-PQ4D"
    )
    message: Message = draft.to("+31612345678", MessageKind.STEP_UP_CODE, "7K2M-PQ4D", channel="sms")
    assert segments(message.text) == 1
    assert "123456" in message.text
    assert message.html is None
