"""Every command in a block of the README and of docs/ is run as it stands, and other blocks by what reads them.

The README is followed in a folder that holds a log and a table of items, as its reader has them; what it leaves is what
the other pages speak of, so each of them is followed in a copy of that.
"""

from pathlib import Path

import pytest
import torch

from rec_export.topk import Seen
from rec_export.towers import DotHead
from tests.batch_jobs.store import make_bucket, store
from tests.docs.blocks import PAGES, SHOWN, Block, blocks
from tests.docs.conftest import is_long, prepare
from tests.docs.reader import Ended, Reader

APART = {  # pages that are followed with what they need beside that
    *(f"docs/howto/{page}.md" for page in ("own_data", "amazon", "lastfm", "listenbrainz")),  # test_site.py
    "docs/quickstart.md",  # test_site.py
    "docs/python.md",  # test_python.py
    "docs/completion.md",  # test_completion.py
    "docs/howto/s3.md",  # below
    "docs/topk.md",  # below
    "README.md",  # by the fixture `left`
}


def runnable(page: str) -> list[Block]:
    """The blocks of a page that are more than shown, but for those of test_long_blocks.py."""
    return [block for block in blocks(page) if block.language != "text" and not is_long(block)]


def failures(reader: Reader, page: str) -> dict[str, Ended]:
    """Do all that a page says; how those blocks ended that did not end well."""
    prepare(reader, page)
    ended = {block.name: reader.follow(block) for block in runnable(page)}
    return {name: how for name, how in ended.items() if how.code != 0}


@pytest.mark.slow
def test_the_readme_leaves_published_nights(left: Path) -> None:
    assert [path.name for path in (left / "recs").iterdir()] == ["run_date=2026-10-30"]
    assert [path.name for path in (left / "out" / "recs").iterdir()] == ["run_date=2026-11-20"]
    assert {"checkpoint", "bundle", "out", "shop"} <= {path.name for path in left.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page not in APART and runnable(page)])
def test_every_block_of_a_page_is_followed(page: str, reader: Reader) -> None:
    assert failures(reader, page) == {}


@pytest.mark.slow
def test_the_page_of_s3_is_followed_with_a_store(reader: Reader) -> None:
    with store() as url:
        make_bucket(url, "bucket")
        reader.environment["AWS_ENDPOINT_URL"] = url
        assert failures(reader, "docs/howto/s3.md") == {}
    assert reader.names["lists"]["rank"].min() == 1


@pytest.mark.slow
def test_the_page_of_the_top_k_is_followed_with_vectors(reader: Reader) -> None:
    vectors = torch.randn(300, 8, generator=torch.Generator().manual_seed(1))
    reader.names |= {"head": DotHead(), "item_vec": vectors, "user_vec": vectors[:5], "seen": Seen.none(5)}
    assert failures(reader, "docs/topk.md") == {}
    assert reader.names["best"].count.tolist() == [100] * 5


def test_what_is_shown_and_not_run_holds_no_command() -> None:
    every = [block for page in PAGES for block in blocks(page)]
    programs = {block.text.split()[0] for block in every if block.language == "shell"} | {"rec-export", "python", "pip"}
    lines = [line.split() for block in every if block.language == "text" for line in block.text.splitlines()]
    assert [words for words in lines if words and words[0] in programs] == []


def test_what_is_named_as_shown_is_there() -> None:
    every = [block.text.lstrip() for page in PAGES for block in blocks(page)]
    assert [begins for begins in SHOWN if not any(text.startswith(begins) for text in every)] == []
