"""A terminal's picture as SVG, without anything fetched from elsewhere."""

from __future__ import annotations

import io
from collections.abc import Sequence

from pilotcli.views.text import Line

__all__ = ["render_svg"]

# rich's own template loads a font from a CDN; this one takes what the reader's machine has. The
# places of all pieces of text are given, so that any monospaced font lines up.
_FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <style>
    .{unique_id}-matrix {{
      font-family: "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace;
      font-size: {char_height}px;
      line-height: {line_height}px;
    }}
    .{unique_id}-title {{
      font-family: "DejaVu Sans", Helvetica, Arial, sans-serif;
      font-size: 18px;
      font-weight: bold;
    }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">{matrix}</g>
  </g>
</svg>
"""


def render_svg(lines: Sequence[Line], *, width: int, title: str) -> str:
    """What a terminal of `width` columns shows of `lines`, as SVG."""
    from rich.console import Console
    from rich.text import Text

    console = Console(
        file=io.StringIO(),
        record=True,
        width=width,
        height=200,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        legacy_windows=False,
    )
    for line in lines:
        console.print(Text.assemble(*line, no_wrap=True, overflow="ignore"))
    return console.export_svg(title=title, code_format=_FORMAT, font_aspect_ratio=0.602)
