"""What an explanation tells of one list: places and terms, what is left out, and how the engines agree."""

from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from batch_jobs.explained import HABIT, Artefact, Explained, Hidden, Met, Place, Wanted
from batch_jobs.job import ExplainJob
from batch_jobs.lists import lists_of
from batch_jobs.scoring import moment
from batch_jobs.subject import Subject
from batch_jobs.today import Today
from rec_export.bundle import Bundle
from rec_export.choices import Engine
from rec_export.config import Scoring
from rec_export.data.columns import Int64
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.inputs import user_inputs
from rec_export.metrics import Float64
from rec_export.rules import Rules
from rec_export.run_manifest import SOURCES
from rec_export.scorer import Scorer
from rec_export.terms import gate_shares, term_names, terms
from rec_export.topk.contract import Added
from rec_export.towers import DotHead

HISTORY = 10  # items that are shown
HIDDEN = 5  # items that would stand in the list, but for a rule
ASKED = "asked for"


class Ranking(NamedTuple):
    """All items of tonight in the order of their scores for one user, whether the user can get them or not."""

    item_row: Int64  # [N]
    score: Float64  # [N], with what a rule takes from it
    out: dict[int, str]  # why an item row cannot stand in the list

    def place(self, row: int) -> int | None:
        """Where an item stands; None where it is not eligible."""
        found = np.flatnonzero(self.item_row == row)
        return int(found[0]) if len(found) else None

    def among(self, row: int) -> int:
        """How many items an item is ranked with: what the user cannot get is with all, the rest with the rest."""
        out = [] if row in self.out else [*self.out]
        return len(self.item_row) - int(np.isin(self.item_row, out).sum())

    def rank(self, place: int) -> int:
        """The rank of a place among the items that the user can get, from 1."""
        return 1 + sum(int(row) not in self.out for row in self.item_row[:place])


def scores(scorer: Scorer, user: Int64, rows: Int64, habit: Float64) -> Float64:
    """What a list ranks items by, before any choice for diversity: int64 [1], int64 [n] -> float64 [n].

    habit float64 [n] is added to a score by the model.
    """
    place = torch.from_numpy(scorer.place[rows])
    with torch.inference_mode():
        if not scorer.serves(user)[0]:
            score = scorer.recent[place, 0]
        else:
            score = scorer.model.head(scorer.user_vectors(user), scorer.item_vec[place])[0]
            score = score if scorer.penalty is None else score - torch.from_numpy(scorer.penalty)[place]
            score = score.double() + torch.from_numpy(habit)
    found: Float64 = score.double().numpy()
    return found


def crowded_by(rules: Rules, approximate: bool) -> str:
    """What looks at a whole list, and takes the place of an item that is good enough for it."""
    caps = " or ".join(f"{most} of one `{column}`" for column, most in rules.caps.items())
    why = [f"the list holds {caps} already, all better"] if caps else []
    why += ["diversity gave its place to another item"] if rules.diversity else []
    why += ["the approximate search missed it"] if approximate else []
    return ", or ".join(why) or "another item has its place"


def meant(vocab: Vocab, name: str) -> str:
    """`; did you mean 'x'?` where an id is near; otherwise nothing."""
    near = vocab.near(name)
    return "" if near is None else f"; did you mean {near!r}?"


class Explanation(NamedTuple):
    """What is needed to explain one list."""

    bundle: Bundle
    how: Scoring
    today: Today
    user: Int64  # [1]
    scorer: Scorer  # of all items, whatever the rules leave out
    out: dict[int, str]  # why an item row cannot stand in the list
    crowded: str  # why another one, that could, does not

    def told(
        self, job: ExplainJob, subject: Subject, scorers: dict[Engine, Scorer], later: list[str | int]
    ) -> Explained:
        """The whole explanation."""
        ranking, blueprint = self.ranking(), self.bundle.manifest.blueprint
        best = lists_of(scorers[self.how.runtime], self.user, self.how)
        served = bool(self.scorer.serves(self.user)[0])
        listed = [ranking.place(int(row)) for row in best.best.item_row[0] if row != UNKNOWN]
        places = [place for place in listed if place is not None]
        choice = scorers[self.how.runtime].policy.diversity and best.best.score[0]
        mine = tuple(
            one.model_copy(update={"rank": n + 1, "choice": None if choice is None else float(choice[n])})
            for n, one in enumerate(self.places(ranking, places, served))
        )
        published = subject.published(str(self.id_of(self.today.catalogue.users.vocab.ids, int(self.user[0]))))
        return Explained(
            user=self.id_of(self.today.catalogue.users.vocab.ids, int(self.user[0])),
            source=SOURCES[int(best.source[0])],
            served=served,
            bundle=str(subject.bundle),
            model=str(blueprint.model["name"]),
            as_of=moment(self.today.world.date),
            k=self.how.k,
            shown=job.shown,
            seen=self.how.seen,
            terms=self.term_names(served),
            splits=served and isinstance(self.scorer.model.head, DotHead),
            gate=gate_shares(self.bundle.folder, blueprint, self.inputs()) if served else {},
            history=self.history(),
            liked=int(self.today.world.length(self.user)[0]),
            met=len(set(self.today.world.seen(self.user).item_row.tolist())),
            disliked=self.disliked(),
            list=mine,
            hidden=self.hidden(ranking, places, max(places[: job.shown], default=0), served),
            asked=tuple(
                self.wanted(item, ranking, mine, served, why)
                for why, items in ((ASKED, job.asked), ("liked next", later))
                for item in items
            ),
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
        """All items of tonight, best first."""
        scorer, user, count = self.scorer, self.user, len(self.scorer.items)
        if scorer.serves(user)[0]:
            vec, met = scorer.user_vectors(user), scorer.seen(user, keep_seen=True)
            best = scorer.listed(scorer.ranker, vec, user, count, met, self.added()).top
        else:
            best = scorer.popular(user, count, keep_seen=True).top
        return Ranking(best.item_row[0], best.score[0], self.out)

    def added(self) -> Added | None:
        """What the user's habits add to scores; None where lists hold nothing again, or there is no such term."""
        return self.scorer.added(self.user) if self.how.seen == "keep" else None

    def again(self) -> dict[int, dict[str, Any]]:
        """How often and how long ago the user liked an item row, where that counts."""
        if self.added() is None:
            return {}
        again = self.today.world.again(self.user)
        columns = again.items.item_row.tolist(), again.times.tolist(), again.days.tolist()
        timed = self.today.world.clock.timed
        return {row: {"times": n, "days": days if timed else None} for row, n, days in zip(*columns, strict=True)}

    def habit(self, rows: Int64) -> Float64:
        """The same of some items, float64 [n]."""
        found, added = np.zeros(len(self.scorer.items)), self.added()
        if added is not None:
            found[added.items.item_row] = added.term
        told: Float64 = found[self.scorer.place[rows]]
        return told

    def term_names(self, served: bool) -> tuple[str, ...]:
        """The terms of a score."""
        if not served:
            return ("recent popularity" if self.bundle.manifest.blueprint.clock.timed else "popularity",)
        habit = () if self.added() is None else (HABIT,)
        penalty = ("penalty",) if self.scorer.policy.popularity_penalty is not None else ()
        return (*term_names(self.bundle.manifest.blueprint, self.scorer.model.head), *habit, *penalty)

    def penalty(self, rows: Int64) -> Float64 | None:
        """What the rule popularity_penalty takes from the scores of items, float64 [n]."""
        taken = self.scorer.policy.penalty(self.today.world.likings()[rows])
        return None if taken is None else taken.astype(np.float64)

    def places(self, ranking: Ranking, places: list[int], served: bool) -> tuple[Place, ...]:
        """Items of a ranking with the terms of their scores."""
        rows, score = ranking.item_row[places], ranking.score[places]
        if served:
            item_vec = self.scorer.item_vec[torch.from_numpy(self.scorer.place[rows])].double().cpu().numpy()
            user_vec = self.scorer.user_vectors(self.user)[0].double().cpu().numpy()
            habit, penalty = self.habit(rows), self.penalty(rows)
            others = [] if self.added() is None else [habit]
            others += [] if penalty is None else [-penalty]
            told = terms(
                self.bundle.manifest.blueprint, self.scorer.model.head, user_vec, item_vec, score - sum(others)
            )
            told = np.column_stack([told, *others])
        else:
            told = score[:, None]
        ids, again = self.today.catalogue.items.vocab.ids, self.again() if served else {}
        return tuple(
            Place(
                rank=ranking.rank(place),
                item=self.id_of(ids, int(row)),
                title=self.title(int(row)),
                score=float(value),
                terms=tuple(map(float, parts)),
                out=ranking.out.get(int(row)),
                trained=int(row) < self.today.catalogue.items.trained,
                **again.get(int(row), {}),
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

    def disliked(self) -> tuple[str | int, ...]:
        """What the user met last without liking it, the newest first."""
        timeline, user = self.today.world.timeline, int(self.user[0])
        liked = set(timeline.item_row[timeline.start[user] : self.today.world.stop[user]].tolist())
        met = dict.fromkeys(reversed(self.today.world.seen(self.user).item_row.tolist()))
        ids = self.today.catalogue.items.vocab.ids
        return tuple(self.id_of(ids, row) for row in islice((row for row in met if row not in liked), HISTORY))

    def hidden(self, ranking: Ranking, places: list[int], last: int, served: bool) -> tuple[Hidden, ...]:
        """The best items that would stand in the list before a place, but were met or are kept out by a rule."""
        out = sorted({*range(last)} - {*places})[:HIDDEN]
        return tuple(
            Hidden(item=one.item, title=one.title, score=one.score, place=place + 1, rule=one.out or self.crowded)
            for place, one in zip(out, self.places(ranking, out, served), strict=True)
        )

    def wanted(self, item: str | int, ranking: Ranking, mine: tuple[Place, ...], served: bool, why: str) -> Wanted:
        """Where one item stands, and why it is in the list or not."""
        row = int(self.today.catalogue.items.vocab.rows(pa.array([item]))[0])
        if row == UNKNOWN:
            like = meant(self.today.catalogue.items.vocab, str(item)) if why == ASKED else ""
            return Wanted(item=item, why=why, said=f"no file and no training knows it{like}")
        place = ranking.place(row)
        if place is None:
            return Wanted(item=item, title=self.title(row), why=why, said="it is not in today's table of items")
        (told,) = self.places(ranking, [place], served)
        listed = next((one.rank for one in mine if one.item == told.item), None)
        said = "in the list" if listed else told.out and f"{told.out}, so it is left out"
        full = len(mine) == self.how.k and told.score <= min(one.score for one in mine)  # of better ones
        said = said or (f"below the {self.how.k} of the list" if full else self.crowded)
        if not told.trained:
            said += "; the model was not trained on it, so its attributes and trend alone speak for it"
        rank = listed or (place + 1 if told.out else told.rank)
        return Wanted(
            item=told.item, title=told.title, why=why, said=said, rank=rank, among=ranking.among(row), told=told
        )

    def artefact(self, form: str, scorer: Scorer, mine: tuple[Place, ...]) -> Artefact:
        """The list by one exported format, and how far its scores are from those above."""
        best = lists_of(scorer, self.user, self.how).best
        ids, rows = self.today.catalogue.items.vocab.ids, best.item_row[0]
        rows = rows[rows != UNKNOWN]
        items = tuple(self.id_of(ids, int(row)) for row in rows)
        score = dict(zip(items, scores(scorer, self.user, rows, self.habit(rows)), strict=True))
        shared = [abs(score[one.item] - one.score) for one in mine if one.item in score]
        return Artefact(format=form, items=items, worst=float(max(shared, default=0.0)))

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
