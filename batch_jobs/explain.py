"""One user's list, and why it is so: from the same files, by the same code, as the lists that `score` publishes."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from batch_jobs.explained import Artefact, Explained, Hidden, Met, Place, Wanted
from batch_jobs.job import ExplainJob, ScoreJob
from batch_jobs.score import lists_of, moment
from batch_jobs.subject import Subject, subject_of
from batch_jobs.today import Today, look
from rec_export.bundle import Bundle
from rec_export.config import Scoring
from rec_export.data.columns import DAY, Int64
from rec_export.data.log import read_events
from rec_export.data.vocab import UNKNOWN
from rec_export.errors import UsageError, nearest, shorten
from rec_export.inputs import user_inputs
from rec_export.metrics import Float64
from rec_export.recs import SOURCES
from rec_export.runtime import Runtime
from rec_export.scorer import Model, Scorer
from rec_export.terms import gate_shares, term_names, terms
from rec_export.towers import DotHead

CPU = torch.device("cpu")
HISTORY = 10  # items that are shown
HIDDEN = 5  # items that would stand in the list, but for a rule
NEXT = 5  # items that are told of where the log goes on after the run's date
ALIKE = 50_000  # ids that a mistyped one is compared with


class Ranking(NamedTuple):
    """All eligible items in the order of their scores for one user, met or not."""

    item_row: Int64  # [N]
    score: Float64  # [N]
    met: frozenset[int]  # item rows

    def place(self, row: int) -> int | None:
        """Where an item stands; None where it is not eligible."""
        found = np.flatnonzero(self.item_row == row)
        return int(found[0]) if len(found) else None

    def rank(self, place: int) -> int:
        """The rank of a place among the items that the user has not met, from 1."""
        return 1 + sum(int(row) not in self.met for row in self.item_row[:place])


def run(job: ExplainJob) -> Explained:
    """Look at tonight's files as `score` does. Raises UsageError for a user whom nobody knows."""
    subject = subject_of(job)
    bundle = Bundle.read(subject.bundle)
    score_job = subject.score_job(job, bundle)
    how = score_job.scoring(bundle.manifest.blueprint.score, bundle.manifest.formats)
    today = look(bundle, score_job)
    user = user_row(job.user, today)
    scorers = {
        form: Scorer(Model.of_bundle(bundle, form, CPU), today.catalogue, today.world, today.eligible)
        for form in ("torchscript", "onnx", "pt2")
        if form in bundle.manifest.formats
    }
    return Explanation(bundle, how, today, user, scorers[how.runtime]).told(job, subject, scorers, score_job)


def user_row(user: str, today: Today) -> Int64:
    """The user's row, int64 [1]. Raises UsageError with the id that is nearest."""
    vocab = today.catalogue.users.vocab
    row = vocab.rows(pa.array([user]))
    if row[0] != UNKNOWN:
        return row
    texts = pc.cast(vocab.ids, pa.large_string())
    like = texts.filter(pc.equal(pc.utf8_slice_codeunits(texts, 0, 2), user[:2]))[:ALIKE].to_pylist()
    hint = nearest(user, like)
    raise UsageError(
        f"the user {shorten(user)!r} is neither in the log nor in the bundle, so there is no list to explain"
        f"{hint if 'did you mean' in hint else '; a row of the log, or of --users, makes one'}"
    )


class Explanation(NamedTuple):
    """What is needed to explain one list."""

    bundle: Bundle
    how: Scoring
    today: Today
    user: Int64  # [1]
    scorer: Scorer

    def told(self, job: ExplainJob, subject: Subject, scorers: dict[Runtime, Scorer], score_job: ScoreJob) -> Explained:
        """The whole explanation."""
        ranking, blueprint = self.ranking(), self.bundle.manifest.blueprint
        best = lists_of(self.scorer, self.user, self.how)
        served = bool(self.scorer.serves(self.user)[0])
        listed = [ranking.place(int(row)) for row in best.best.item_row[0] if row != UNKNOWN]
        places = [place for place in listed if place is not None]
        mine = self.places(ranking, places, served)
        published = subject.published(str(self.id_of(self.today.catalogue.users.vocab.ids, int(self.user[0]))))
        later = self.later(score_job, subject)
        return Explained(
            user=self.id_of(self.today.catalogue.users.vocab.ids, int(self.user[0])),
            source=SOURCES[int(best.source[0])],
            served=served,
            bundle=str(subject.bundle),
            model=str(blueprint.model["name"]),
            as_of=moment(self.today.world.date),
            k=self.how.k,
            seen=self.how.seen,
            terms=term_names(blueprint, self.scorer.model.head) if served else ("recent popularity",),
            splits=served and isinstance(self.scorer.model.head, DotHead),
            gate=gate_shares(self.bundle.folder, blueprint, self.inputs()) if served else {},
            history=self.history(),
            liked=int(self.today.world.length(self.user)[0]),
            met=len(ranking.met),
            list=mine,
            hidden=self.hidden(ranking, places, served),
            asked=tuple(self.wanted(item, ranking, served, "asked for") for item in job.asked)
            + tuple(self.wanted(item, ranking, served, "liked next") for item in later),
            artefacts=tuple(self.artefact(form, one, mine) for form, one in scorers.items()),
            published=published,
            run=subject.run,
        )

    def inputs(self) -> dict[str, torch.Tensor]:
        """What the user tower reads."""
        blueprint, model = self.bundle.manifest.blueprint, self.scorer.model
        features = self.today.catalogue.users.features(self.user)
        return user_inputs(model.user_ports, features, self.today.world, self.user, blueprint.data.history)

    def ranking(self) -> Ranking:
        """All items that may be recommended, best first, with those that the user has met."""
        scorer, count = self.scorer, len(self.scorer.items)
        rank = scorer.lists if scorer.serves(self.user)[0] else scorer.popular
        best = rank(self.user, count, keep_seen=True)
        met = frozenset(self.today.world.seen(self.user).item_row.tolist())
        return Ranking(best.item_row[0], best.score[0], met)

    def places(self, ranking: Ranking, places: list[int], served: bool) -> tuple[Place, ...]:
        """Items of a ranking with the terms of their scores."""
        rows, score = ranking.item_row[places], ranking.score[places]
        if served:
            trend = torch.from_numpy(self.today.world.trend())
            item_vec = self.scorer.item_vectors(trend)[torch.from_numpy(self.scorer.place[rows])].double().cpu().numpy()
            user_vec = self.scorer.user_vectors(self.user)[0].double().cpu().numpy()
            told = terms(self.bundle.manifest.blueprint, self.scorer.model.head, user_vec, item_vec, score)
        else:
            told = score[:, None]
        ids = self.today.catalogue.items.vocab.ids
        return tuple(
            Place(
                rank=ranking.rank(place) if self.how.seen == "exclude" else place + 1,
                item=self.id_of(ids, int(row)),
                title=self.title(int(row)),
                score=float(value),
                terms=tuple(map(float, parts)),
                met=int(row) in ranking.met,
                trained=int(row) < self.today.catalogue.items.trained,
            )
            for place, row, value, parts in zip(places, rows, score, told, strict=True)
        )

    def history(self) -> tuple[Met, ...]:
        """What the user liked last, the newest first."""
        timeline, user = self.today.world.timeline, int(self.user[0])
        stop = int(self.today.world.stop[user])
        rows = range(stop - 1, max(int(timeline.start[user]), stop - HISTORY) - 1, -1)
        ids = self.today.catalogue.items.vocab.ids
        return tuple(
            Met(
                item=self.id_of(ids, int(timeline.item_row[row])),
                title=self.title(int(timeline.item_row[row])),
                at=None if timeline.time is None else moment(int(timeline.time[row])),
            )
            for row in rows
        )

    def hidden(self, ranking: Ranking, places: list[int], served: bool) -> tuple[Hidden, ...]:
        """The best items that a rule kept out of the list, of those that would stand in it."""
        if self.how.seen == "keep" or not places:
            return ()
        out = [place for place in range(max(places)) if int(ranking.item_row[place]) in ranking.met]
        return tuple(
            Hidden(item=one.item, title=one.title, score=one.score, place=place + 1, rule="the user has met it")
            for place, one in zip(out[:HIDDEN], self.places(ranking, out[:HIDDEN], served), strict=True)
        )

    def wanted(self, item: str | int, ranking: Ranking, served: bool, why: str) -> Wanted:
        """Where one item stands, and why it is in the list or not."""
        vocab = self.today.catalogue.items.vocab
        row = int(vocab.rows(pa.array([item]))[0])
        if row == UNKNOWN:
            return Wanted(item=item, why=why, said="no file and no training knows it")
        place = ranking.place(row)
        if place is None:
            return Wanted(item=item, title=self.title(row), why=why, said="it is not in today's table of items")
        (told,) = self.places(ranking, [place], served)
        met = row in ranking.met and self.how.seen == "exclude"
        said = "the user has met it, so it is left out" if met else "in the list" if told.rank <= self.how.k else (
            f"below the {self.how.k} of the list"
        )  # fmt: skip
        if not told.trained:
            said += "; the model was not trained on it, so its attributes and trend alone speak for it"
        rank = place + 1 if met else told.rank
        return Wanted(
            item=told.item, title=told.title, why=why, said=said, rank=rank, among=len(ranking.item_row), told=told
        )

    def artefact(self, form: str, scorer: Scorer, mine: tuple[Place, ...]) -> Artefact:
        """The list by one exported format, and how far its scores are from those above."""
        best = lists_of(scorer, self.user, self.how).best
        ids = self.today.catalogue.items.vocab.ids
        items = tuple(self.id_of(ids, int(row)) for row in best.item_row[0] if row != UNKNOWN)
        score = {item: value for item, value in zip(items, best.score[0], strict=False)}
        shared = [abs(score[one.item] - one.score) for one in mine if one.item in score]
        return Artefact(format=form, items=items, worst=float(max(shared, default=0.0)))

    def later(self, job: ScoreJob, subject: Subject) -> list[str | int]:
        """What the user liked after the date, where the log goes on."""
        data = self.bundle.manifest.blueprint.data.interactions
        if data.time is None or subject.date is None:
            return []
        events = read_events(data.model_copy(update={"path": job.interactions}))
        assert events.time is not None
        after = int(datetime.combine(subject.date, datetime.min.time(), UTC).timestamp() * 1e6) + DAY
        users = self.today.catalogue.users.vocab
        mine = (users.rows(events.user_id) == self.user[0]) & events.positive & (events.time >= after)
        rows = np.flatnonzero(mine)
        order = rows[np.argsort(events.time[rows], kind="stable")]
        met = self.today.world.seen(self.user).item_row
        known = self.today.catalogue.items.vocab.ids.take(pa.array(met)).to_pylist()
        fresh = [item for item in dict.fromkeys(events.item_id.take(pa.array(order)).to_pylist()) if item not in known]
        return fresh[:NEXT]

    def id_of(self, ids: pa.Array, row: int) -> str | int:
        """An id as it came."""
        found: str | int = ids[row].as_py()
        return found

    def title(self, row: int) -> str | None:
        """The first text column of an item, where there is one."""
        declared, table = self.bundle.manifest.blueprint.data.items, self.today.catalogue.items.table
        if declared is None or not declared.text or declared.text[0] not in table.column_names:
            return None
        found = table[declared.text[0]][row].as_py()
        return None if found is None else str(found)
