"""The code blocks of the README and of the pages in docs/."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block: its page, the headings and the line where it is, its language and text."""

    page: str
    heading: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The blocks in one of the languages; without languages, all blocks."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            headings = re.findall(r"^##+ (.*)$", text[: match.start()], re.MULTILINE)
            line = text.count("\n", 0, match.start()) + 1
            heading = headings[-1] if headings else ""
            found.append(Block(page.name, heading, line, match[1], match[2]))
    return [block for block in found if not languages or block.language in languages]


def commands(block: Block) -> list[list[str]]:
    """The words of each command of a shell block; of a `console` block, of the lines with `$`."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
    found = []
    for line in text.splitlines():
        words: list[str] = []
        # Punctuation apart from words; quotes and comments as the shell has them.
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&<>")
        lexer.whitespace_split = True
        for word in [*lexer, ";"]:
            if set(word) <= set(";|&"):
                found.append(words[: words.index(">")] if ">" in words else words)
                words = []
            else:
                words.append(word)
    return [words for words in found if words]
