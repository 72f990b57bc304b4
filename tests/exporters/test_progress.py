"""Who watches an export is told how far it has come."""

import io
import time
from pathlib import Path

from exporters import export
from exporters.job import ExportJob
from rec_export.progress import Terminal, bar, watched


def test_each_part_and_each_format_is_told(trained: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with watched(lambda what, done, total: told.append((what, done, total))):
        export(ExportJob(checkpoint=trained, out=tmp_path / "bundle", formats=("torchscript",)))
    assert told[:4] == [("exporting", 0, 3), ("exporting", 1, 3), ("exporting", 2, 3), ("proving", 0, 1)]


def test_a_bar_on_a_terminal_tells_what_is_done_and_what_is_left() -> None:
    screen = io.StringIO()
    for _ in bar(range(3), 3, "proving", Terminal(file=screen, force_terminal=True, width=80)):
        time.sleep(0.6)  # so that there is time left to tell of
    shown = screen.getvalue()
    assert ("proving" in shown, "1/3" in shown, "2/3" in shown, "0:00:01 left" in shown) == (True,) * 4
