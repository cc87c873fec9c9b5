"""The tokens of a statement: what a literal is, and where a parameter stands."""

from __future__ import annotations

import re

TOKEN = re.compile(
    r"""
    (?P<string>[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|(?:[bBxXnN]|[uU]&)?'[^']*(?:''[^']*)*')
    |(?P<name>"[^"]*")
    |(?P<comment>--[^\n\r]*|/\*[^*/]*(?:(?:\*(?!/)|/(?!\*)|/\*[^*]*(?:\*(?!/)[^*]*)*\*/)[^*/]*)*\*/)
    |(?P<dollar>(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag))
    |\$(?P<parameter>\d+)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:[eE][+-]?\d+)?)
    |(?P<space>\s+)
    """,
    re.VERBOSE | re.DOTALL,
)
