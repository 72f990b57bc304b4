"""An incremental run: users for whom nothing has changed keep the list of the newest published run.

Which users that are is told by basis.py. What is carried over is written as if it had been scored, so the parts are
those of a full run, byte for byte. A sample of these users is scored all the same; where one list differs, or what was
published is not what it was, everybody is scored, and the run says so.
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import torch

from batch_jobs.basis import bases, basis_table, digest, ground_of, write_basis
from batch_jobs.lists import lists_of, sources_of
from batch_jobs.parts import Lists, Shard
from batch_jobs.plan import Plan
from batch_jobs.prior import Before, DoubtError, Prior
from batch_jobs.work import Work
from rec_export.data.columns import Bool, Int64
from rec_export.data.vocab import Vocab
from rec_export.published import Published
from rec_export.run_manifest import PartFile
from rec_export.scorer import Scorer
from rec_export.topk.contract import Listed, TopK

log = logging.getLogger("rec_export")
SAMPLE = 0.01  # the share of users that is scored even if nothing changed,
LEAST = 20  # or so many of a part


@final
class Carrier:
    """What the parts of an incremental run share."""

    def __init__(self, recs: Published, plan: Plan, scorer: Scorer, work: Work) -> None:
        assert work.mine is not None
        self.plan, self.scorer, self.work = plan, scorer, work
        self.ground = ground_of(plan, scorer, work.mine)
        self.recent = digest(scorer.recent.numpy().tobytes())
        self.before: Before | None = None
        try:
            self.before = Before(recs, plan, self.ground)
        except DoubtError as doubt:
            self.score_everybody(doubt, logging.INFO)  # as expected

    def score_everybody(self, doubt: DoubtError, level: int = logging.WARNING) -> None:
        """Say why, and do so in every process."""
        log.log(level, "everybody is scored: %s", doubt)
        self.work.score_everybody(str(doubt))

    def part(self, shard: Shard, users: Int64) -> "CarriedPart":
        """The part of the users int64 [U] of a shard. Raises DoubtError."""
        vocab, items = self.scorer.catalogue.users.vocab, self.scorer.catalogue.items.vocab
        prior = None
        if self.before is not None and len(users) and self.work.why_everybody() is None:
            first, last = vocab.take(users[[0, -1]]).to_pylist()
            prior = self.before.between(first, last, items)
        chance = np.random.default_rng([int(self.plan.run_id, 16), shard.number]).random(len(users))
        return CarriedPart(self, prior, chance < max(SAMPLE, LEAST / max(len(users), 1)))


@final
class CarriedPart:
    """The lists of one part, which are counted as they are asked for. `sample` bool [U], in the order of the users."""

    def __init__(self, carrier: Carrier, prior: Prior | None, sample: Bool) -> None:
        self.carrier, self.prior, self.sample = carrier, prior, sample
        self.vocab = None if prior is None else Vocab(prior.ids)
        self.known: list[pa.Table] = []
        self.carried = self.sampled = 0

    def lists(self, portions: Iterable[Int64]) -> Iterator[Lists]:
        """The lists of portions of the users, int64 [B] each. Raises DoubtError where a sampled list is another."""
        at = 0
        for user in portions:
            yield self.portion(user, self.sample[at : at + len(user)])
            at += len(user)

    def portion(self, user: Int64, sample: Bool) -> Lists:
        """The lists of users [B]."""
        scorer, how = self.carrier.scorer, self.carrier.plan.how
        vec, source, ids = scorer.user_vectors(user), sources_of(scorer, user), scorer.catalogue.users.vocab.take(user)
        keep = how.seen == "keep"
        on = scorer.seen(user, keep), scorer.allowed(user), scorer.added(user) if keep else None
        basis = bases(vec.numpy(force=True), self.carrier.recent, scorer.serves(user), source, *on)
        if self.prior is None or self.vocab is None:
            lists = lists_of(scorer, user, how, vec)
        else:
            place = self.vocab.rows(ids)
            same = self.prior.same(place, basis)
            width = min(how.k, len(scorer.items))
            carried = self.prior.listed(place[same], np.flatnonzero(same), len(user), width)
            lists = Lists(user, self.completed(carried, user, vec, same, sample), source)
        self.known.append(basis_table(ids, basis, lists.listed))
        return lists

    def completed(self, carried: Listed, user: Int64, vec: torch.Tensor, same: Bool, sample: Bool) -> Listed:
        """Lists of users [B] that hold what is carried over for the `same`, with the others in their places."""
        anew = ~same | sample
        if anew.any():
            how = self.carrier.plan.how
            fresh = lists_of(self.carrier.scorer, user[anew], how, vec[torch.from_numpy(anew)]).listed
            self.compare(carried.top, fresh.top, same & sample, anew)
            carried.top.put(np.flatnonzero(anew), fresh.top)
            carried.capped[anew], carried.varied[anew] = fresh.capped, fresh.varied
        self.carried += int(same.sum())
        self.sampled += int((same & sample).sum())
        return carried

    def compare(self, carried: TopK, fresh: TopK, sampled: Bool, anew: Bool) -> None:
        """Raise DoubtError unless the `sampled` of B users have the same lists among those that were made `anew`."""
        again = sampled[anew]
        same = [
            np.array_equal(was[sampled].astype(kind), now[again].astype(kind), equal_nan=kind is np.float32)
            for was, now, kind in zip(carried, fresh, (np.int64, np.float32, np.int64), strict=True)
        ]
        if not all(same):
            assert self.carrier.before is not None
            raise DoubtError(
                f"a list of the newest run, {self.carrier.before.run_id}, is another one when it is scored again"
            )

    def done(self, part: PartFile, path: Path, work: Path) -> PartFile:
        """Keep at `path` what the lists stand on, written at `work` first; the part with its counts."""
        if self.known:
            write_basis(work, pa.concat_tables(self.known), self.carrier.ground)
            path.parent.mkdir(exist_ok=True)
            work.rename(path)
        return part.model_copy(update={"carried": self.carried, "sampled": self.sampled})
