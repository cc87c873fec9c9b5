"""Another value for the text of a string or number, of the same form."""

from __future__ import annotations

import ipaddress
import json
import re
from decimal import Decimal
from functools import partial

from pilotcli.workload.logs.scramble import Scramble

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_AREAS = "africa|america|antarctica|asia|atlantic|australia|europe|indian|pacific|etc"
_ZONE = (
    r"(?:\s?[+-][0-9]{2}(?::?[0-9]{2}){0,2}(?![0-9])"
    rf"|\s?(?:z|utc|gmt|[cemw]es?t|bst|msk|ist|jst|[aecmp][sd]t)\b|\s(?:{_AREAS})/[\w/+-]+)"
)
_TIME = (
    r"(?:[01]?[0-9]|2[0-4]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?(?![0-9:])"
    rf"(?:\s?[ap]m\b)?{_ZONE}?"
)
_NUMBER = r"[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?"
_PART = re.compile(
    r"(?P<octal>\\[0-3][0-7]{2})"
    r"|(?P<date>(?<![\d.])(?:[0-9]{4,7}(?P<s1>[-/.])[0-9]{1,2}(?P=s1)[0-9]{1,2}"
    r"|[0-9]{1,2}(?P<s2>[-/.])[0-9]{1,2}(?P=s2)(?:[0-9]{4}|[0-9]{2}))"
    r"(?![0-9])(?:T(?=[0-9]))?)"
    r"|(?P<compact>(?<![\d])[0-9]{8}(?=[T ][0-9]{6}\b))"
    rf"|(?P<kept>(?<=[0-9]) ?(?:BC|AD|UTC|GMT|CES?T|[EP][SD]T)\b|(?:(?<![\w:])|(?<=T)){_TIME}"
    r"|(?<=[0-9]{8})[T ][0-2][0-9][0-5][0-9]{3}\b|<\?[^?]*\?>|<!\[CDATA\[|&\#?\w{1,8};"
    r"|\b(?:true|false|null)\b|(?<=:)[A-D]\b"
    r"|\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s(?=[0-9]|" + _MONTH + r"\s[0-9]))"
    rf"|(?P<named>\b(?:[0-9]{{1,2}}[ -]{_MONTH}[ ,-]+[0-9]{{4}}"
    rf"|{_MONTH}[ -][0-9]{{1,2}}(?:,?\s{_TIME})?[ ,-]+[0-9]{{4}})\b)"
    r"|(?P<julian>\bJ[0-9]{7}\b)"
    r"|(?P<address>(?<![\d.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\d.]))"
    r"|(?P<hex>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])(?:[0-9a-f]{8}){1,8}\b)"
    r"|(?P<digits>[0-9]+(?:\.[0-9]+(?![\d.]))?)|(?P<letters>[^\W\d_]+)",
    re.DOTALL | re.IGNORECASE,
)
_SYNTAX = {
    "regex": r"\[(?:\[:\w{1,9}:\]|\\.|[^\]\\]){1,80}\]|\{[0-9,]*\}|\(\?[a-z:=!<]+|\\.",
    "jsonpath": r"\w+(?=\s*\()|\[[0-9\s,*to-]*\]|\b(?:strict|lax|exists|like_regex|flag|starts|with"
    r"|is|unknown|true|false|null|last)\b",
}
"""What stays in a regular expression and in a JSON path."""
_UNITS = (
    "microseconds?|milliseconds?|msecs?|ms|usecs?|us|secs?|seconds?|s|mins?|minutes?|m|hours?|hrs?"
    "|h|days?|d|weeks?|w|months?|mons?|quarters?|years?|yrs?|y|decades?|centur(?:y|ies)"
    "|millenni(?:um|a)|epoch|dow|doy|isodow|isoyear|julian|timezone(?:_hour|_minute)?"
)
_KEPT = re.compile(
    rf"(?:(?:@\s*)?(?:[+-]?\d{{0,8}}(?:[.:]\d+)*\s*)?(?:{_UNITS})"
    rf"(?:,?\s*[+-]?(?<!\d)\d{{1,8}}(?:[.:]\d+)*(?:\s*(?:{_UNITS}))?)*(?:\s+ago)?"
    r"|[+-]?P(?=[-\dT])(?:(?:-?[\d.]+[YMWDHS]|T)+|\d{4}-\d\d-\d\d(?:T[\d:.]+)?)"
    r"|true|false|t|f|yes|no|on|off|null|now|today|yesterday|tomorrow|allballs|empty|nan"
    rf"|[+-]?inf(?:inity)?|utc|gmt|(?:{_AREAS})/[\w/+-]+"
    r"|hex|base64|escape|utf-?8|latin-?\d+|sql_ascii|sha(?:1|224|256|384|512)|md5"
    r"|(?=.*(?:yy|mi|dd|hh))(?:yy|mm|mon|month|dd|dy|day|hh24|hh12|hh|mi|ss|ms|us|tz|am|pm|fm"
    r"|iw|iyyy|q|t|[\s:/.,\-\"])+)",
    re.IGNORECASE,
)
"""Texts that say what to do, and nothing of anybody: units, intervals, booleans, formats."""
_LONGEST_KEPT = 100
_WHOLE_NUMBER = re.compile(rf"([+-]?)({_NUMBER})", re.IGNORECASE)
_BYTES = re.compile(r"\\x(?:[0-9a-f]{2}|\s)*", re.IGNORECASE)
_MAC = re.compile(r"[0-9a-f]{2}(?:[:-]?[0-9a-f]{2}){5}(?:[:-]?[0-9a-f]{2}){0,2}"
                  r"|(?:[0-9a-f]{4}[.-]){2,3}[0-9a-f]{4}", re.IGNORECASE)  # fmt: skip
_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
_JSON_PATH = re.compile(r"(?:strict\s|lax\s)?\s*\$\s*(?:\.\D|[\[?]).*", re.DOTALL)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|(?:' + _NUMBER + ")", re.IGNORECASE)
_HEX_RUN = re.compile(r"[0-9a-f]+", re.IGNORECASE)
_SIMPLE = rf"\s*[+-]?(?:{_NUMBER})\s*"
_ELEMENT = re.compile(
    rf"(?P<pair>(?<=[\[(])({_SIMPLE}),({_SIMPLE})(?=[\])]))"
    r'|"(?P<quoted>(?:[^"\\]|\\.|"")*)"|(?P<bare>[^{}()\[\]<>,;"]+)',
    re.DOTALL | re.IGNORECASE,
)
_BC = re.compile(r"[^A-Za-z]{0,40}\sBC\b", re.IGNORECASE)
_BOUNDS = re.compile(r"(?:\[[+-]?\d+(?::[+-]?\d+)?\])+=(?=\{)")


class OtherValues:
    """Makes texts of the same form from texts; the same text gives the same one."""

    def __init__(self, seed: int) -> None:
        self._scramble = Scramble(seed)
        self._patterns = {
            syntax: re.compile(f"(?P<syntax>{kept})|{_PART.pattern}", _PART.flags)
            for syntax, kept in _SYNTAX.items()
        }

    def text(self, text: str, alone: bool = True) -> str:
        """Returns the other text; a single digit stays where it stands `alone`."""
        core = text.strip()
        if core != text:
            begin = text.index(core) if core else len(text)
            return (
                text[:begin] + (self.text(core, alone) if core else "") + text[begin + len(core) :]
            )
        if len(text) < _LONGEST_KEPT and _KEPT.fullmatch(text):
            return text
        number = _WHOLE_NUMBER.fullmatch(text)
        if number:
            return number[1] + self.number(number[2], alone)
        if text.startswith("\\x") and _BYTES.fullmatch(text):
            return "\\x" + _HEX_RUN.sub(self._hex, text[2:])
        if _MAC.fullmatch(text) or _LSN.fullmatch(text):
            return _HEX_RUN.sub(self._hex, text)
        return self._address(text) or self._structure(text) or _PART.sub(self._part, text)

    def in_syntax(self, text: str, syntax: str) -> str:
        """Returns the other text of a regular expression ("regex") or a JSON path ("jsonpath")."""
        return self._patterns[syntax].sub(self._part, text)

    def bits(self, text: str) -> str:
        """Returns another string of as many bits; one bit stays."""
        return self._scramble.bits(text) if len(text) > 1 else text

    def hex(self, text: str) -> str:
        """Returns other hexadecimal digits."""
        return self._scramble.hex(text)

    def number(self, text: str, alone: bool = True) -> str:
        """Returns another number of the same form, type and size."""
        if text[:2].lower() in ("0x", "0o", "0b"):
            return self._based(text)
        if "_" in text:
            places = iter(self.number(text.replace("_", ""), alone))
            return "".join("_" if sign == "_" else next(places) for sign in text)
        mantissa, e, exponent = re.fullmatch(r"([^eE]*)([eE]?)(.*)", text).groups()  # type: ignore[union-attr]
        whole, point, fraction = mantissa.partition(".")
        if alone and len(text) == 1:
            return text
        made = self._scramble.digits(whole) + point + self._scramble.fraction(fraction)
        return made + e + self._exponent(exponent, len(whole))

    def _exponent(self, text: str, digits: int) -> str:
        """One less or more where a larger number, or a smaller one, would be out of range."""
        if not text or len(text) > 5:
            return text
        size = int(text) + digits - 1
        other = int(text) - (size in (38, 308)) + (size in (-46, -45, -324))
        sign = text[0] if text[0] in "+-" else ""
        return text if other == int(text) else f"{sign}{abs(other):0{len(text) - len(sign)}}"

    def _based(self, text: str) -> str:
        """Of the same type: the first digit that is no zero stays."""
        head = re.match(r"0[xob][0_]*[0-9a-f]", text, re.IGNORECASE)
        if head is None:
            return text
        kind = {"x": self._scramble.hex, "o": self._scramble.octal, "b": self.bits}[text[1].lower()]
        rest = text[head.end() :]
        if rest:
            places = iter(kind(rest.replace("_", "")))
            return head[0] + "".join("_" if sign == "_" else next(places) for sign in rest)
        digit = {"x": "12345678", "o": "1234567", "b": "1"}[text[1].lower()]
        at = digit.find(head[0][-1])
        return head[0][:-1] + (digit[(at + 1) % len(digit)] if at >= 0 else "9")

    def _hex(self, found: re.Match[str]) -> str:
        return self._scramble.hex(found[0])

    def _structure(self, text: str) -> str | None:
        if text[0:1] in ("{", "[", '"') and _is_json(text):
            return _JSON_TOKEN.sub(self._json, text)
        if _JSON_PATH.fullmatch(text):
            return self.in_syntax(text, "jsonpath")
        bounds = _BOUNDS.match(text)
        begin = bounds.end() if bounds else 0
        if text[begin : begin + 1] in ("{", "(", "[") and text[-1] in "})]":
            return text[:begin] + _ELEMENT.sub(self._element, text[begin:])
        return None

    def _json(self, token: re.Match[str]) -> str:
        if token[0][0] != '"':
            return self.number(token[0], alone=False)
        value = self.text(json.loads(token[0], strict=False))
        return json.dumps(value, ensure_ascii=token[0].isascii())

    def _element(self, found: re.Match[str]) -> str:
        if found["pair"]:
            old = [Decimal(text.strip()) for text in (found[2], found[3])]
            new = [self.text(text, alone=False) for text in (found[2], found[3])]
            if (old[0] < old[1]) != (Decimal(new[0].strip()) < Decimal(new[1].strip())):
                new.reverse()  # the bounds of a range
            return ",".join(new)
        if found["quoted"] is None:
            return self.text(found["bare"], alone=False)
        plain = re.sub(r'\\(.)|"(")', r"\1\2", found["quoted"], flags=re.DOTALL)
        made = self.text(plain, alone=False)
        return '"' + re.sub(r'(["\\])', r"\\\1", made) + '"'

    def _address(self, text: str) -> str | None:
        if ":" not in text and "." not in text:
            return None
        try:
            old = ipaddress.ip_interface(text)
        except ValueError:
            return None
        if old.version == 4:
            made = "".join(self._octets(part) for part in re.split(r"(/.*)", text))
        else:
            address, slash, mask = text.partition("/")
            made = re.sub(r"[0-9a-f.]+", self._group, address, flags=re.IGNORECASE) + slash + mask
        if "/" in text and old.ip == old.network.network_address:
            return str(ipaddress.ip_network(made, strict=False))
        return made

    def _group(self, found: re.Match[str]) -> str:
        group = found[0]
        return self._octets(group) if "." in group else self._scramble.hex(group)

    def _octets(self, text: str) -> str:
        if text.startswith("/"):
            return text
        return re.sub("[0-9]+", lambda octet: str(self._scramble.byte(int(octet[0]))), text)

    def _part(self, part: re.Match[str]) -> str:
        kind, text = part.lastgroup, part[0]
        if kind == "date":
            return self._date(text, bool(_BC.match(part.string, part.end())))
        if kind == "named":
            return self._named_date(text)
        if kind == "julian":
            return f"{text[0]}{self._scramble.julian(int(text[1:])):07}"
        if kind == "address":
            return self._octets(text)
        if kind == "hex":
            made = self._scramble.hex(text.replace("-", ""))
            places = iter(made)
            return "".join("-" if sign == "-" else next(places) for sign in text)
        if kind == "octal":
            byte = self._scramble.byte(int(text[1:], 8))
            return f"\\{byte:03o}"
        if kind in ("digits", "compact"):
            return self.number(text, alone=False)
        return self._scramble.letters(text) if kind == "letters" else text

    def _plain(self, text: str) -> str:
        return re.sub(
            "[0-9]+|[^\\W\\d_]+",
            lambda found: (
                self._scramble.digits(found[0])
                if found[0][0] in "0123456789"
                else self._scramble.letters(found[0])
            ),
            text,
        )

    def _date(self, text: str, before_christ: bool) -> str:
        fields = re.findall("[0-9]+", text)
        order = _order(fields)
        if order is None:
            return self._plain(text.removesuffix("T")) + "T" * text.endswith("T")
        year, month, day = (int(fields[at]) for at in order)
        short = len(fields[order[0]]) == 2
        if short:
            year += 2000 if year < 70 else 1900
        elif before_christ:
            year = 1 - year
        moved = self._scramble.date(year, month, day)
        if moved is None:
            return self._plain(text.removesuffix("T")) + "T" * text.endswith("T")
        year, month, day = moved
        if order[0] == 2 and max(int(fields[0]), int(fields[1])) <= 12:
            day = (day - 1) % 12 + 1  # a date in each order of day and month
        if before_christ:
            year = 1 - year
        made = {order[0]: year % 100 if short else year, order[1]: month, order[2]: day}
        places = iter(range(3))

        def field(old: re.Match[str]) -> str:
            return f"{made[next(places)]:0{len(old[0])}}"

        return re.sub("[0-9]+", field, text)

    def _named_date(self, text: str) -> str:
        name = re.search(_MONTH, text, re.IGNORECASE)
        day, *_, year = re.findall("[0-9]+", text)
        number = 1 + [month[:3].lower() for month in _MONTHS].index(name[0][:3].lower())  # type: ignore[index]
        moved = self._scramble.date(int(year), number, int(day))
        if moved is None:
            return self._plain(text)
        other = _MONTHS[moved[1] - 1]
        if len(name[0]) == 3:  # type: ignore[index]
            other = other[:3]
        text = re.sub(r"[0-9]+$", f"{moved[0]:04}", text)
        text = re.sub(r"[0-9]+", f"{moved[2]:0{len(day)}}", text, count=1)
        return re.sub(_MONTH, other, text, count=1, flags=re.IGNORECASE)


def _order(fields: list[str]) -> tuple[int, int, int] | None:
    """Where the year, the month and the day stand."""
    if len(fields[0]) >= 4:
        return 0, 1, 2
    first, second = int(fields[0]), int(fields[1])
    if first <= 12 and second <= 31:
        return 2, 0, 1
    return (2, 1, 0) if second <= 12 and first <= 31 else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=len, parse_float=len, parse_constant=partial(float, "x"))
    except (ValueError, TypeError, RecursionError):
        return False
    return True
