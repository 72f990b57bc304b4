"""The blocks of the README and of docs/, and what each is: commands, unless it looks otherwise or is named."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if path.parent.name != "commands"  # made from `--help`, and held to it by test_commands.py
]
LOOKS = {  # by how a block begins; all others are commands
    "python": r"(import|from) \w",
    "yaml": r"[a-z]\w*:[ \n]",
    "dockerfile": r"FROM ",
    "crontab": r"\d+ \d+ \* \* \* ",
}
SHOWN = (  # what begins so is looked at and not run: what a program says or writes, and formulas
    # README.md
    "interactions, items, users ",
    # docs/exports.md
    "item_features.onnx ",
    "inputs      those of the user tower",
    # docs/format.md
    "recs/    ",
    # docs/habits.md
    "term = met ",
    "gated     0.",
    # docs/howto
    "AirflowFailException: ",
    "MAILTO=ops@example.com\nCRON_TZ=UTC\n15 3 * * *  day=$(date -u +\\%F); for try in 1 2 3 4;",
    "search, epoch 1 ",
    '{"user_id": 7, ',
    "Read      ",
    "current/run_date=",
    # docs/nightly.md
    "model       users ",
    "Error: ",
    "at work   run ",
    # docs/parallel.md
    "3 long tables ",
    # docs/rules.md
    "1,024 users x ",
    # docs/speed.md
    "Mpairs/s ",
    "users    items    k ",
    "1,024 users, 1 thread ",
    "100,000 users, ",
    "150,000 users, ",
    "users  parts there ",
    "users    log rows ",
    "by process_time ",
    "K = 100, 160,000 ",
    "10,000 items, k 100",
    # docs/topk.md
    "x[h] ",
    "M_0 = ",
    "|float32 score",
    "|<u, v> - ",
    "<x, v> = ",
    "|score - ",
    "error = ",
    "x = relu",
    "|e|^2 ",
    "y_o = ",
    "dot     = ",
    "value = ",
)


class Block(NamedTuple):
    """A block of a page."""

    page: str
    line: int
    language: str  # as a fence is labelled, or shell, text or one of `LOOKS`
    text: str

    @property
    def name(self) -> str:
        """Where it stands and how it begins."""
        return f"{self.page}:{self.line} {self.text.strip().partition(chr(10))[0][:60]}"


def language_of(text: str) -> str:
    """What an unlabelled block is."""
    if text.lstrip().startswith(SHOWN):
        return "text"
    return next((language for language, begins in LOOKS.items() if re.match(begins, text)), "shell")


def blocks(page: str) -> Iterator[Block]:
    """Those of a page, indented or fenced, in its sentences or in a list, in their order."""
    for token in MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8")):
        if token.type in ("code_block", "fence"):
            assert token.map is not None
            yield Block(page, token.map[0] + 1, token.info or language_of(token.content), token.content)
