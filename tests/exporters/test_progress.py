"""Who watches an export is told how far it has come."""

import io
from pathlib import Path

from rich.console import Console

from exporters import export
from exporters.job import ExportJob
from rec_export.progress import bar, watched


def test_each_part_and_each_format_is_told(trained: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with watched(lambda what, done, total: told.append((what, done, total))):
        export(ExportJob(checkpoint=trained, out=tmp_path / "bundle", formats=("torchscript",)))
    assert told[:4] == [("exporting", 0, 3), ("exporting", 1, 3), ("exporting", 2, 3), ("proving", 0, 1)]


def test_a_bar_on_a_terminal_tells_what_is_done_and_what_is_left() -> None:
    screen = io.StringIO()
    list(bar(range(3), 3, "proving", Console(file=screen, force_terminal=True, width=80)))
    assert ("proving" in screen.getvalue(), "3/3" in screen.getvalue(), "0:00:00" in screen.getvalue()) == (True,) * 3
