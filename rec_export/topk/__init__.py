"""The exact top-K engine: the best K items of every user, by the definition in definition.py."""

from rec_export.topk.contract import Seen, TopK
from rec_export.topk.ranker import Ranker

__all__ = ["Ranker", "Seen", "TopK"]
