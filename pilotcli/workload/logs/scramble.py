"""Another number, word or string of bits for each one, chosen by a seed."""

from __future__ import annotations

import functools
import hashlib
from datetime import date, timedelta
from math import isqrt

_LIMITS = ((1 << 15) - 1, (1 << 31) - 1, (1 << 32) - 1, (1 << 63) - 1)
_LONGEST = 40
_ROUNDS = 4
_CYCLE = 400
"""So many years have the same calendar."""


class Scramble:
    """Different values become different ones, none stays, and the length does too.

    A value goes to a place in a secret order of all values of its kind and length, and comes back
    from the next place.
    """

    def __init__(self, seed: int) -> None:
        self._key = hashlib.blake2b(str(seed).encode()).digest()
        days = self._random("days", 1 << 16)
        self._days = (days % 1500 + 1) * (1 if days & 1 << 12 else -1)
        self._other = functools.lru_cache(maxsize=50_000)(self._next)

    def digits(self, text: str) -> str:
        """Returns other digits of the same integer types; a compact date becomes another one, and
        what may be a string of bits stays one. Leading zeros and a lone 0 stay."""
        if len(text) > _LONGEST:
            return "".join(map(self.digits, _chunks(text)))
        if _is_bits(text):
            return text[0] + self.bits(text[1:])
        zeros = len(text) - len(text.lstrip("0"))
        if zeros or not text:
            return text[:zeros] + (self.digits(text[zeros:]) if text[zeros:] else "")
        if moved := self._compact_date(text):
            return moved
        low, high, number = 10 ** (len(text) - 1), 10 ** len(text) - 1, int(text)
        for limit in _LIMITS:
            if number == limit + 1:
                number = limit  # may be the lowest number of the type, without its sign
            if low <= limit < high:
                low, high = (low, limit) if number <= limit else (limit + 1, high)
        while True:
            number = low + self._other(f"d{low}", number - low, high - low + 1)
            made = str(number)
            if not _is_bits(made) and not self._compact_date(made):
                return made

    def fraction(self, text: str) -> str:
        """Returns other digits after a decimal point; only zeros stay."""
        if not text.strip("0"):
            return text
        made = self._in_base(text, "0123456789", "f")
        return made if made.strip("0") else self._in_base(made, "0123456789", "f")

    def bits(self, text: str) -> str:
        """Returns another string of 0 and 1."""
        return self._in_base(text, "01", "b")

    def letters(self, word: str) -> str:
        """Returns another word, with capitals where `word` has some."""
        small = word.lower()
        if small.isascii() and len(small) == len(word):
            made = self._in_base(small, "abcdefghijklmnopqrstuvwxyz", "l")
        else:
            random = self._random(small, 26 ** len(word))
            made = _written(random, "abcdefghijklmnopqrstuvwxyz", len(word))
        return "".join(
            letter.upper() if old.isupper() else letter
            for old, letter in zip(word, made, strict=True)
        )

    def hex(self, text: str) -> str:
        """Returns other hexadecimal digits."""
        made = self._in_base(text.lower(), "0123456789abcdef", "h")
        return made if text == text.lower() else made.upper()

    def octal(self, text: str) -> str:
        """Returns other octal digits."""
        return self._in_base(text, "01234567", "o")

    def byte(self, number: int) -> int:
        """Returns another number from 1 to 255 of as many digits; 0 stays."""
        for low, high in ((1, 9), (10, 99), (100, 255)):
            if low <= number <= high:
                return low + self._other(f"y{low}", number - low, high - low + 1)
        return number

    def date(self, year: int, month: int, day: int) -> tuple[int, int, int] | None:
        """Returns the date that all dates move to from this one (0 is the year 1 BC); None when it
        is no date. Where PostgreSQL has no dates before or after, it moves the other way."""
        in_cycle = 2000 + year % _CYCLE
        days = self._days
        if -4713 < year < -4600 or 0 < year < 10:
            days = abs(days)
        elif -10 < year <= 0 or 9980 < year < 10_000 or year > 290_000:
            days = -abs(days)
        try:
            moved = date(in_cycle, month, day) + timedelta(days)
        except ValueError:
            return None
        return year + moved.year - in_cycle, moved.month, moved.day

    def julian(self, day: int) -> int:
        """Returns the Julian day that `day` moves to."""
        return day + self._days

    def _compact_date(self, text: str) -> str | None:
        if len(text) != 8 or text[:2] not in ("19", "20"):
            return None
        moved = self.date(int(text[:4]), int(text[4:6]), int(text[6:]))
        return moved and "{:04}{:02}{:02}".format(*moved)

    def _in_base(self, text: str, signs: str, domain: str) -> str:
        if len(text) > _LONGEST:
            return "".join(self._in_base(part, signs, domain) for part in _chunks(text))
        number = 0
        for sign in text:
            number = number * len(signs) + signs.index(sign)
        size = len(signs) ** len(text)
        return _written(self._other(f"{domain}{size}", number, size), signs, len(text))

    def _next(self, domain: str, number: int, size: int) -> int:
        if size < 2:
            return number
        place = self._shuffled(domain, number, size, back=False)
        return self._shuffled(domain, (place + 1) % size, size, back=True)

    def _shuffled(self, domain: str, number: int, size: int, back: bool) -> int:
        """A Feistel network over two numbers below `side`, until the result is below `size`."""
        side = isqrt(size - 1) + 1
        while True:
            left, right = divmod(number, side)
            for step in range(_ROUNDS):
                if back:
                    step = _ROUNDS - 1 - step
                    mixed = self._random(f"{domain}.{step}.{left}", side)
                    left, right = (right - mixed) % side, left
                else:
                    mixed = self._random(f"{domain}.{step}.{right}", side)
                    left, right = right, (left + mixed) % side
            number = left * side + right
            if number < size:
                return number

    def _random(self, text: str, size: int) -> int:
        count = size.bit_length() // 8 + 8
        made = hashlib.shake_128(self._key + text.encode("utf-8", "replace")).digest(count)
        return int.from_bytes(made, "big") % size


def _chunks(text: str) -> list[str]:
    return [text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST)]


def _is_bits(text: str) -> bool:
    return len(text) > 2 and not text.strip("01")


def _written(number: int, signs: str, length: int) -> str:
    made = []
    for _ in range(length):
        number, rest = divmod(number, len(signs))
        made.append(signs[rest])
    return "".join(reversed(made))
