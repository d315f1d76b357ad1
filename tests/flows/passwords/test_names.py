import pytest

from flows.passwords.names import account_names, every_name, has_name
from idp_plugin.base import Identity, Subject

JANE = account_names(
    Identity(
        subject=Subject("issuer", "1"),
        account=Subject("people", "1"),
        username="jdoe",
        display_name="Jane-Mary van Poll",
        emails=("jane.o'hara@example.org",),
    )
)


@pytest.mark.parametrize(
    "password",
    [
        "p0LL23fb",  # the reference's example
        "JANE.O'HARA",
        "xx-hara-xx",
        "JDOE",
        "jdoe2026!",
        "Mary had a little lamb",
        "van",
        "jane.o'hara@example.org",
        "ｍａｒｙ and more",  # noqa: RUF001 - look-alikes on purpose
        "ma\u200bry and more",
    ],
)
def test_a_name_or_its_part_is_found_anywhere(password: str) -> None:
    assert has_name(password, every_name(JANE))


@pytest.mark.parametrize("password", ["caravanserai", "example.org", "four words not together", "пароль", ""])
def test_what_is_no_name_is_left_alone(password: str) -> None:
    assert not has_name(password, every_name(JANE))
