"""The best K items of a chunk of users, from a catalogue that was prepared once."""

from typing import final

import torch
from torch import Tensor

from rec_export.topk.blocks import BlockEngine
from rec_export.topk.contract import Seen, TopK
from rec_export.topk.dot_engine import DotEngine
from rec_export.topk.finite import check_vectors, check_weights
from rec_export.topk.form import form_of
from rec_export.topk.fused_here import maxima_of
from rec_export.topk.groups import GroupEngine
from rec_export.topk.mlp_engine import MlpEngine
from rec_export.topk.scalar_engine import ScalarEngine
from rec_export.topk.tiles import Tile, TileEngine
from rec_export.towers import DotHead, Head

CPU = torch.device("cpu")
# 8 MiB of scores, which a processor's last cache holds; a GPU has the room for more and wants fewer calls.
TILES = {"cpu": Tile(users=128, items=16384), "cuda": Tile(users=2048, items=16384)}


@final
class Ranker:
    """Exact: every score is the head in float64, in the order of definition.py, whichever engine found the pair."""

    def __init__(self, head: Head, item_vec: Tensor, device: torch.device = CPU, tile: Tile | None = None) -> None:
        """item_vec float32 [N, Di]."""
        check_weights(head)
        self._item_vec = _checked("item", item_vec).to(device).contiguous()
        self._engine = _engine(head, self._item_vec, tile or TILES[device.type])

    @property
    def engine(self) -> str:
        """Which engine finds the candidates."""
        name = type(self._engine).__name__
        return f"{name} by {self._engine.way}" if isinstance(self._engine, GroupEngine) else name

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, Du] -> the best k eligible items of each user: score descending, then item row ascending."""
        if k < 1:
            raise ValueError(f"k is {k}")
        seen.check(len(user_vec), len(self._item_vec))
        return self._engine.top_k(_checked("user", user_vec), k, seen)


def _engine(
    head: Head, item_vec: Tensor, tile: Tile
) -> BlockEngine | TileEngine | GroupEngine | DotEngine | MlpEngine | ScalarEngine:
    form = form_of(head, item_vec.shape[1])
    if form is None:
        return BlockEngine(head, item_vec)
    if form.scalar:
        return ScalarEngine(form, item_vec, _engine(DotHead(), item_vec, tile), tile)
    tiles = TileEngine(form, item_vec, tile)
    if item_vec.device.type == "cuda":
        return GroupEngine(form, item_vec, tiles, maxima_of(form, item_vec))
    if DotEngine.knows(form, item_vec):
        return DotEngine(form, item_vec, tiles)
    return MlpEngine(form, item_vec, tiles) if MlpEngine.knows(form, item_vec) else tiles


def _checked(side: str, vec: Tensor) -> Tensor:
    if vec.dtype != torch.float32 or vec.dim() != 2:
        raise ValueError(f"{side} vectors are {vec.dtype} of shape {tuple(vec.shape)}, not float32 of two axes")
    check_vectors(side, vec)
    return vec.detach()
