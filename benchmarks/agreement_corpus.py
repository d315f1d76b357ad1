"""Candidates for new passwords around every bound that a directory's rules can have.

Generated, the same ones every time: a seed, no dictionary. Nothing here knows how any server counts.
"""

import random
import string
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
SPECIALS = "!#%&*+,-./:;=?@_ ~'\""
BEYOND = "éßÅñжЯ日本ÿ€İıſ😀"
"""Of two, three and four bytes; with and without case; two that fold strangely."""
CLASSES = (LOWER, UPPER, DIGITS, SPECIALS, BEYOND)
SCHEMES = (
    *(
        "{SSHA}",
        "{ssha}",
        "{CLEAR}",
        "{CLEARTEXT}",
        "{CRYPT}",
        "{ARGON2}",
        "{PBKDF2-SHA512}",
        "{SASL}",
        "{MD5}",
    ),
    *(
        "{PBKDF2}",
        "{sha512}",
        "{FOO}",
        "{}",
        "{",
        "{SSHA",
        "{SSHA }",
        " {SSHA}",
        "{SHA-512}",
        "{X-SSHA}",
        "{SMD5}",
    ),
    *(
        "{UNIX}",
        "{BCRYPT}",
        "{NS-MTA-MD5}",
        "{AES-TEST}",
        "{SHA256}",
        "{CRYPT-SHA512}",
        "{}}",
        "{CLEAR}{SSHA}",
    ),
)

Generator = Callable[[random.Random], str]


def take(count: int, seed: str, generators: Sequence[Generator]) -> Iterator[str]:
    """Yield so many different candidates, from each generator in turn."""
    chance = random.Random(seed)
    return islice(_unique(chance, generators), count)


def _unique(chance: random.Random, generators: Sequence[Generator]) -> Iterator[str]:
    seen = {""}
    while True:
        for generator in generators:
            candidate = generator(chance)
            if candidate not in seen:
                seen.add(candidate)
                yield candidate


def _pick(chance: random.Random, alphabet: str, size: int) -> str:
    return "".join(chance.choice(alphabet) for _ in range(size))


def _shuffled(chance: random.Random, *parts: str) -> str:
    letters = list("".join(parts))
    chance.shuffle(letters)
    return "".join(letters)


def lengths(bound: int) -> Sequence[Generator]:
    """Just shorter, just as long and just longer, in letters of every width."""

    def of(*alphabets: str) -> Generator:
        def make(chance: random.Random) -> str:
            size = max(1, bound + chance.randint(-3, 3))
            return "".join(chance.choice(chance.choice(alphabets)) for _ in range(size))

        return make

    # Wide letters reach a bound in bytes with a fraction of the characters.
    def wide(chance: random.Random) -> str:
        return _pick(chance, BEYOND, max(1, bound // 2 + chance.randint(-3, 3)))

    return of(LOWER, UPPER, DIGITS), of(*CLASSES), of(LOWER, BEYOND), wide


def classes(size: int) -> Sequence[Generator]:
    """Any mix of the classes."""

    def make(chance: random.Random) -> str:
        chosen = chance.sample(CLASSES, chance.randint(1, len(CLASSES)))
        return "".join(chance.choice(chosen[place % len(chosen)]) for place in range(size))

    return (make,)


def at_least(bound: int, alphabet: str, size: int) -> Sequence[Generator]:
    """Around `bound` characters of one alphabet among others."""
    others = "".join(each for each in CLASSES if not set(alphabet) & set(each))

    def make(chance: random.Random) -> str:
        wanted = max(0, bound + chance.randint(-2, 2))
        rest = _pick(chance, others, max(0, size - wanted))
        return _shuffled(chance, _pick(chance, alphabet, wanted), rest)

    return (make,)


def _within(chance: random.Random, part: str, size: int) -> str:
    """Put something into a text that has neither neighbours nor repeats."""
    calm = "KqZwVxRjGpMdTh#9!4?7&2"
    start, before = chance.randint(0, 11), chance.randint(0, size)
    filling = "".join(calm[(start + place) % len(calm)] for place in range(size))
    return filling[:before] + part + filling[before:]


def repeats(bound: int, size: int) -> Sequence[Generator]:
    """One character several times, of every class."""

    def make(chance: random.Random) -> str:
        run = chance.choice("".join(CLASSES)) * max(1, bound + chance.randint(-1, 2))
        return _within(chance, run, size)

    return (make,)


def sequences(bound: int, size: int, *, is_twice: bool = False) -> Sequence[Generator]:
    """Runs up and down, of letters, digits, beyond ASCII, and turning round."""

    def make(chance: random.Random) -> str:
        return _within(chance, _run(chance, bound), size)

    def turning(chance: random.Random) -> str:
        run = _run(chance, bound)
        return _within(chance, run + run[-2::-1], size)

    def again(chance: random.Random) -> str:
        run = _run(chance, bound)
        return _within(chance, f"{run}{chance.choice(['', '#', 'Qz'])}{run}", size)

    return (again, make, turning) if is_twice else (make, turning)


def _run(chance: random.Random, bound: int) -> str:
    first = ord(chance.choice("abcXMN01345чфю日!"))
    step = chance.choice([1, -1])
    return "".join(chr(first + step * place) for place in range(max(1, bound + chance.randint(-1, 2))))


def class_runs(bound: int) -> Sequence[Generator]:
    """Stretches of one class."""

    def make(chance: random.Random) -> str:
        stretches = (
            _pick(chance, chance.choice(CLASSES), max(1, bound + chance.randint(-2, 1))) for _ in range(4)
        )
        return "".join(stretches)

    return (make,)


def palindromes(size: int) -> Sequence[Generator]:
    """Read the same backwards, or nearly."""

    def half(chance: random.Random, *, beyond: bool) -> str:
        return _pick(chance, LOWER + DIGITS + (BEYOND if beyond else ""), size // 2)

    def even(chance: random.Random) -> str:
        text = half(chance, beyond=chance.random() < 0.3)
        return text + text[::-1]

    def odd(chance: random.Random) -> str:
        text = half(chance, beyond=False)
        return f"{text}#{text[::-1]}"

    def nearly(chance: random.Random) -> str:
        text = half(chance, beyond=False)
        return text + text[::-1].swapcase()

    return even, odd, nearly


def names(values: Sequence[str], token: int, size: int) -> Sequence[Generator]:
    """Parts of names just too short and just long enough, in any case, with and without accents."""

    def make(chance: random.Random) -> str:
        value = chance.choice(values)
        length = min(len(value), max(1, token + chance.randint(-1, 2)))
        start = chance.randint(0, len(value) - length)
        return _within(chance, chance.choice(_SPELLINGS)(value[start : start + length]), size)

    def whole(chance: random.Random) -> str:
        return _within(chance, chance.choice(_SPELLINGS)(chance.choice(values)), size)

    return make, make, whole


_ACCENTS = str.maketrans("aeiouzlAEIOUZL", "áéíöüżłÁÉÍÖÜŻŁ")
_PLAIN = str.maketrans("ëüłóÁéŁ", "eulóaeL")
_LEET = str.maketrans("aeios", "43105")
_SPELLINGS: Sequence[Callable[[str], str]] = (
    str,
    str.upper,
    str.lower,
    str.swapcase,
    str.title,
    lambda text: text.translate(_ACCENTS),
    lambda text: text.translate(_PLAIN),
    lambda text: text.translate(_LEET),
    lambda text: text[::-1],
)


def schemes(size: int) -> Sequence[Generator]:
    """What looks like a password that is hashed already."""

    def make(chance: random.Random) -> str:
        return chance.choice(SCHEMES) + _pick(chance, LOWER + UPPER + DIGITS, size)

    return (make,)


def ordinary() -> Sequence[Generator]:
    """What people choose: words, numbers, a capital in front and a mark behind."""
    words = (
        "summer",
        "orange",
        "Football",
        "tiger",
        "haus",
        "élan",
        "Сергей",
        "monkey",
        "abcd",
        "qwerty",
        "1111",
    )

    def make(chance: random.Random) -> str:
        parts = [chance.choice(words) for _ in range(chance.randint(1, 3))]
        parts.append(_pick(chance, DIGITS, chance.randint(0, 4)))
        text = chance.choice(["", "-", " ", "."]).join(parts)
        return chance.choice([text, text.capitalize(), text.upper(), f"{text}!"])

    return (make,)
