"""What a user's list stands on, as a hash: where it is the same on two nights, the list is the same, bit for bit.

A list is decided by the vectors of all items that may be recommended and by the head, which are everybody's ground,
and by the user's own vector and seen items. Hashing those instead of the log, the attributes and the trends behind
them is exact whatever a model reads: what has changed without changing a vector does not matter, and what changed one
through a trend or a calendar is not missed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from batch_jobs.plan import Plan
from batch_jobs.work import MadeWith
from rec_export.data.columns import Bool, Int64, comparable
from rec_export.scorer import Scorer
from rec_export.sets import distinct
from rec_export.topk.contract import Added, Allowed, Listed, Seen

SIZE = 16  # bytes of a basis: chance does not make two of them equal
GROUND = b"rec_export.ground"
Ground = dict[str, str]  # what all lists stand on, by what it is called in a sentence
Basis = npt.NDArray[np.uint64]  # [B, 2]
Bytes = npt.NDArray[np.int8]  # [B]


def ground_of(plan: Plan, scorer: Scorer, made_with: MadeWith) -> Ground:
    """Everybody's ground; two are compared one by one, so that a difference can be named."""
    catalogue = scorer.catalogue
    items = comparable(catalogue.items.vocab.take(scorer.items))
    private = {"bundle", "whom", *plan.hashes}
    settings = {name: value for name, value in plan.facts.items() if name not in private}
    return {
        "the bundle": str(plan.facts["bundle"]),
        "the settings": digest(json.dumps(settings, sort_keys=True).encode()),
        "the machine or a version": digest(made_with.as_json().encode()),
        "the type of the users' ids": str(comparable(catalogue.users.vocab.ids[:0]).type),
        "the items that may be recommended": digest(pa.record_batch([items], names=["item"]).serialize()),
        "the items' vectors": digest(scorer.item_vec.contiguous().numpy(force=True).data),
        "what rules read of the items": digest(b"".join(part.tobytes() for part in ruled_by(scorer))),
    }


def ruled_by(scorer: Scorer) -> list[npt.NDArray[Any]]:
    """The numbers of items on which rules decide, beside those that leave items out."""
    penalty = [] if scorer.penalty is None else [scorer.penalty]
    return penalty + ([] if scorer.caps is None else [*scorer.caps])


def digest(content: bytes | memoryview | pa.Buffer) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def bases(
    vec: npt.NDArray[np.float32], recent: str, by_model: Bool, source: Bytes,
    seen: Seen, allowed: Allowed | None, added: Added | None,
) -> Basis:  # fmt: skip
    """The basis of each user's list, uint64 [B, 2].

    vec float32 [B, Du] and `added` are read where the list is by_model, bool [B]; elsewhere popularity is, of which
    `recent` is the digest. source int8 [B]; `seen`, `allowed` and `added` name places among the items of the ground.
    """
    hidden = [Digits.of(seen, len(vec))] + ([] if allowed is None else [Digits.of(allowed.items, len(vec))])
    found = bytearray()
    for row in range(len(vec)):
        mine = vec[row].tobytes() + terms_of(added, row) if by_model[row] else recent.encode()
        own = allowed is not None and bool(allowed.restricted[row])
        told = b"".join(lists.told(row) for lists in hidden[: 1 + own])
        kind = bytes((int(source[row]), int(by_model[row]), own))
        found += hashlib.blake2b(kind + mine + told, digest_size=SIZE).digest()
    return np.frombuffer(bytes(found), np.uint64).reshape(-1, 2)


def terms_of(added: Added | None, row: int) -> bytes:
    """What is added to the scores of one user."""
    if added is None:
        return b""
    mine = slice(*added.items.start[row : row + 2])
    return added.items.item_row[mine].tobytes() + added.term[mine].tobytes()


class Digits(NamedTuple):
    """Items of users as bytes; in which order they are named, and how often, decides nothing."""

    start: Int64  # [B + 1]
    place: Int64

    @classmethod
    def of(cls, lists: Seen, users: int) -> Self:
        """Of lists of places."""
        width = int(lists.item_row.max(initial=0)) + 1
        pair = distinct(lists.user() * width + lists.item_row)
        return cls(np.searchsorted(pair, np.arange(users + 1) * width), pair % width)

    def told(self, row: int) -> bytes:
        """How many items one user has, and which."""
        mine = self.place[self.start[row] : self.start[row + 1]]
        return np.int64(len(mine)).tobytes() + mine.tobytes()


def basis_table(ids: pa.Array, basis: Basis, listed: Listed) -> pa.Table:
    """The basis of users [B] beside their ids, with the counts of their lists, which the parts do not hold."""
    values = pa.FixedSizeBinaryArray.from_buffers(pa.binary(SIZE), len(basis), [None, pa.py_buffer(basis.tobytes())])
    counts = {"size": listed.top.count, "capped": listed.capped, "varied": listed.varied}
    return pa.table({"user_id": ids, "basis": values, **counts})


def write_basis(path: Path, table: pa.Table, ground: Ground) -> None:
    """Write the basis of the users of a part, with the ground of all in the footer."""
    pq.write_table(table.replace_schema_metadata({GROUND: json.dumps(ground)}), path, write_page_checksum=True)


def read_basis(path: Path) -> tuple[pa.Table, Basis]:
    """The table, and the basis of each user. Raises OSError or ArrowException where the file is gone or damaged."""
    table = pq.ParquetFile(path, page_checksum_verification=True).read()
    whole = np.frombuffer(b"".join(table["basis"].to_pylist()), np.uint64)
    return table, whole.reshape(-1, 2)


def read_ground(path: Path) -> Ground:
    """The ground; nothing where it is not told."""
    told = pq.read_schema(path).metadata or {}
    ground: Ground = json.loads(told.get(GROUND, b"{}"))
    return ground
