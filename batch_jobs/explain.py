"""One user's list, and why it is so: from the same files, by the same code, as the lists that `score` publishes."""

from datetime import date
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import torch

from batch_jobs.explained import Explained
from batch_jobs.explanation import Explanation, crowded_by, meant
from batch_jobs.job import ExplainJob, ScoreJob
from batch_jobs.kept_out import kept_out
from batch_jobs.rules import ruled
from batch_jobs.subject import Subject, subject_of
from batch_jobs.today import Today, end_of, look
from rec_export.bundle import Bundle
from rec_export.choices import Engine, Lossy, Runtime
from rec_export.config import Scoring
from rec_export.data.columns import Int64
from rec_export.data.config import Interactions
from rec_export.data.log import read_events
from rec_export.data.vocab import UNKNOWN
from rec_export.errors import UsageError, shorten
from rec_export.machine import usual_torch
from rec_export.policy import Policy
from rec_export.progress import in_parts, passed
from rec_export.scorer import Model, Scorer

CPU = torch.device("cpu")
ENGINES: tuple[Engine, ...] = get_args(Runtime) + get_args(Lossy)  # the exact ones first
PORTABLE = [form for form in ENGINES if form != "aoti"]  # native code is run where it made the lists alone
NEXT = 5  # items that are told of where the log goes on after the run's date


@usual_torch()
def run(job: ExplainJob) -> Explained:
    """Look at tonight's files as `score` does. Raises UsageError for a user whom nobody knows."""
    subject = subject_of(job)
    bundle = Bundle.read(subject.bundle)
    score_job = subject.score_job(job, bundle)
    how = score_job.scoring(bundle.manifest.blueprint.score, bundle.manifest.runtimes)
    there = [form for form in ENGINES if form in bundle.manifest.runtimes and form in (*PORTABLE, how.runtime)]
    with in_parts("explaining", len(there) + 3):
        return explained(job, subject, bundle, score_job, how, there)


def explained(
    job: ExplainJob, subject: Subject, bundle: Bundle, score_job: ScoreJob, how: Scoring, there: list[Engine]
) -> Explained:
    """The same of a bundle that was read, by the engines that are there, as the parts of a step."""
    today = look(bundle, score_job)
    passed()
    user, data = user_row(job, score_job.interactions, today), bundle.manifest.blueprint.data
    policy = ruled(today, score_job, data, how).policy
    models, scorers = {}, {}
    for form in there:
        models[form] = Model.of_bundle(bundle, form, CPU)
        scorers[form] = Scorer(models[form], today.catalogue, today.world, today.eligible, policy, how.approximate)
        passed()
    free = Policy(popularity_penalty=policy.popularity_penalty)  # a rule on scores, not on who gets what
    everything = Scorer(models[how.runtime], today.catalogue, today.world, today.eligible, free)
    passed()
    out = kept_out(today, user, score_job, data, how, policy)
    later = liked_later(score_job.log(data.interactions), score_job.run_date, today, user) if today.goes_on else []
    crowded = crowded_by(score_job.rules, how.approximate)
    return Explanation(bundle, how, today, user, everything, out, crowded).told(job, subject, scorers, later)


def user_row(job: ExplainJob, log: Path, today: Today) -> Int64:
    """The user's row, int64 [1]. Raises UsageError with the id that is nearest."""
    vocab, user = today.catalogue.users.vocab, job.user
    row = vocab.rows(pa.array([user]))
    if row[0] != UNKNOWN:
        return row
    until = "" if job.run_date is None else f" up to {job.run_date}"
    raise UsageError(
        f"the user {shorten(user)!r} is neither in the log {log}{until} nor in the bundle, so there is no list to"
        f" explain{meant(vocab, user) or '; a row of the log, or of --users, makes one'}"
    )


def liked_later(log: Interactions, day: date, today: Today, user: Int64) -> list[str | int]:
    """What the user liked first after a day, where the log goes on, of what was not met before."""
    events = read_events(log)
    assert events.time is not None
    mine = (events.user_id.rows_in(today.catalogue.users.vocab) == user[0]) & events.positive
    rows = np.flatnonzero(mine & (events.time >= end_of(day)))
    order = rows[np.argsort(events.time[rows], kind="stable")]
    met = today.world.seen(user).item_row
    known = today.catalogue.items.vocab.ids.take(pa.array(met)).to_pylist()
    fresh = [item for item in dict.fromkeys(events.item_id.at(order).column().to_pylist()) if item not in known]
    return fresh[:NEXT]
