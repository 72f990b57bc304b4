"""What ranking takes beside vectors and lists: less than 512 MB, however many users come."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rec_export.topk import Ranker, Seen
from rec_export.topk.form import form_of
from rec_export.topk.groups import GroupEngine
from rec_export.topk.maxima import TileMaxima
from rec_export.topk.tiles import Tile, TileEngine
from rec_export.towers import AdditiveHead, DotHead, Head, ScalarHead

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
MOST = 512 << 20
ITEMS, WIDTH = 20_000, 32


def resident(name: str) -> int:
    """Bytes of this process: VmRSS now, VmHWM at the most since the peak was forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def groups(head: Head, item_vec: torch.Tensor) -> GroupEngine:
    """The engine of a GPU, on the CPU."""
    form = form_of(head, item_vec.shape[1])
    assert form is not None
    return GroupEngine(form, item_vec, TileEngine(form, item_vec, Tile(128, 16384)), TileMaxima(form, item_vec))


@pytest.mark.parametrize(
    ("head", "made", "users"),
    [
        pytest.param(DotHead(), Ranker, 10_000, id="dot"),
        pytest.param(ScalarHead((8,)), Ranker, 5_000, id="scalar"),
        pytest.param(AdditiveHead((16, 8), WIDTH - 16), Ranker, 2_000, id="additive"),
        pytest.param(DotHead(), groups, 2_000, id="groups"),
    ],
)
def test_ranking_takes_less_than_512_mb_whatever_the_number_of_users(
    head: Head, made: Callable[[Head, torch.Tensor], Ranker | GroupEngine], users: int, threads: Callable[[int], None]
) -> None:
    threads(2)
    torch.manual_seed(0)
    user_vec, ranker = torch.randn(users, WIDTH), made(head, torch.randn(ITEMS, WIDTH))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak: man 5 proc
    before = resident("VmRSS")
    ranker.top_k(user_vec, 10, Seen.none(users))
    assert resident("VmHWM") - before < MOST
