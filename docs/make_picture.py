"""Makes `docs/live.svg`, the README's picture, from a real run of the demo.

    python docs/make_picture.py

It replays the demo from scratch in a temporary folder and draws the live view as it stands after
`QUERIES` queries.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pilotcli.common.signals import Bus, QueryFinished, Signal
from pilotcli.config import load_config
from pilotcli.run.commands import RunRequest, run
from pilotcli.views.frame import frame
from pilotcli.views.live import LiveView
from pilotcli.views.text import Line

ROOT = Path(__file__).parents[1]
QUERIES = 55
COLUMNS, ROWS = 84, 36

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


def as_svg(lines: Sequence[Line], title: str, width: int = COLUMNS) -> str:
    """What a terminal of `width` columns shows of `lines`, as SVG."""
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


def main() -> None:
    view = LiveView(io.StringIO(), size=lambda: (COLUMNS, ROWS), color=True, thread=False)
    done = 0

    def draw(signal: Signal) -> None:
        nonlocal done
        if not isinstance(signal, QueryFinished):
            return
        done += 1
        view.refresh()
        if done == QUERIES:
            title = "pilot run workloads/forum.sql -c configs/forum.yaml"
            svg = as_svg(frame(view.state, COLUMNS - 1, ROWS - 1), title)
            (ROOT / "docs" / "live.svg").write_text(svg, encoding="utf-8")

    with tempfile.TemporaryDirectory(prefix="pilot-picture-") as folder, view:
        for part in ("configs", "workloads"):
            shutil.copytree(ROOT / part, Path(folder) / part)
        os.chdir(folder)
        config = load_config(Path("configs/forum.yaml"))
        run(RunRequest(config, ("workloads/forum.sql",)), Bus(view, draw))


if __name__ == "__main__":
    main()
