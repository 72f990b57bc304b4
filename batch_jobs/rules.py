"""Tonight's business rules: the section `rules` against tonight's catalogue, and what it leaves out, counted.

What leaves an item out for everybody is taken from the catalogue, so it costs nothing. The rest is a Policy, which the
scan keeps to. Each count is of that rule alone, whatever the others leave out.
"""

import logging
from typing import NamedTuple

import numpy as np

from batch_jobs.job import ScoreJob
from batch_jobs.rule_files import RuleFiles, caps_of, too_early, too_small, with_values
from batch_jobs.today import Today, end_of
from rec_export.config import Scoring
from rec_export.data.columns import Bool, Int64
from rec_export.data.config import DataConfig
from rec_export.data.vocab import UNKNOWN
from rec_export.errors import DataError
from rec_export.policy import NO_RULES, Policy
from rec_export.rules import Rules
from rec_export.run_manifest import RulesRun
from rec_export.scorer import chunks
from rec_export.topk.contract import Allowed, Seen
from rec_export.topk.mmr import Diversity
from rec_export.topk.own_items import without

log = logging.getLogger("rec_export")


class Ruling(NamedTuple):
    """What the rules mean tonight."""

    policy: Policy
    told: RulesRun | None  # None where there are no rules


def ruled(today: Today, job: ScoreJob, data: DataConfig, how: Scoring) -> Ruling:
    """Read the files of the rules. Raises UsageError, MissingInputError or DataError where one makes no sense."""
    rules, items = job.rules, len(today.catalogue.items.vocab)
    if not rules.declared():
        return Ruling(NO_RULES, None)
    files = RuleFiles.read(job, data, today.catalogue)
    offered = np.ones(items, np.bool_) if today.eligible is None else today.eligible
    out = left_out(job, files, items)
    kept = offered & ~np.any([np.zeros(items, np.bool_), *out.values()], axis=0)
    counts = {name: int((offered & which).sum()) for name, which in out.items()}
    refuse_nothing(int(offered.sum()), int(kept.sum()), counts, how.k)
    policy = policy_of(rules, files, data, len(today.catalogue.users.vocab), kept)
    own = own_lists(today, policy, how)
    told = RulesRun(
        declared=rules.declared(),
        approximate=("diversity",) if rules.diversity else (),
        items_before=int(offered.sum()),
        items=counts,
        unmatched=files.unmatched(),
        denied_pairs=denied_pairs(today, policy, how),
        restricted_users=len(own),
        short_of_own=int((own < how.k).sum()),
        empty_of_own=int((own == 0).sum()),
    )
    return Ruling(policy, told)


def left_out(job: ScoreJob, files: RuleFiles, items: int) -> dict[str, Bool]:
    """The items that each rule leaves out for everybody, bool [N], by the rule."""
    rules, end, out = job.rules, end_of(job.run_date), {}
    if files.deny is not None:
        out["deny"] = among(files.deny, items)
    if files.allow is not None:
        out["allow"] = ~among(files.allow, items)
    for column, values in rules.exclude.items():
        out[f"exclude.{column}"] = with_values(files.columns[column], values, f"rules.exclude.{column}")
    for column, least in rules.minimum.items():
        rule, read = f"rules.minimum.{column}", files.columns[column]
        short = too_early(read, least, rule, end) if isinstance(least, str) else too_small(read, least, rule)
        out[f"minimum.{column}"] = short
    return out


def among(row: Int64, items: int) -> Bool:
    """Which items are named, bool [N]."""
    named = np.zeros(items, np.bool_)
    named[row[row != UNKNOWN]] = True
    return named


def refuse_nothing(offered: int, kept: int, counts: dict[str, int], k: int) -> None:
    """Raise DataError where nothing is left; a warning where no list can be full."""
    told = ", ".join(f"{name} takes {count:,}" for name, count in counts.items())
    if kept == 0:
        raise DataError(
            f"the rules leave none of tonight's {offered:,} items ({told}); look at them, and at their files"
        )
    if kept < min(k, offered):
        log.warning("the rules leave %s items, fewer than the %s of a list (%s)", f"{kept:,}", k, told)


def policy_of(rules: Rules, files: RuleFiles, data: DataConfig, users: int, kept: Bool) -> Policy:
    """All that lists keep to."""
    own = files.allow_by_user
    return Policy(
        kept=kept,
        denied=files.deny_by_user and files.deny_by_user.by_user(users),
        allowed=own and Allowed(own.named(users), own.by_user(users)),
        caps=caps_of(rules.caps, files.columns, data) if rules.caps else None,
        popularity_penalty=rules.popularity_penalty,
        diversity=rules.diversity and Diversity(rules.diversity.relevance, rules.diversity.fetch),
    )


def denied_pairs(today: Today, policy: Policy, how: Scoring) -> int:
    """How many pairs of a user to score and an item that the user could have got are denied."""
    if policy.denied is None:
        return 0
    users = today.users[np.diff(policy.denied.start)[today.users] > 0]
    alone, denied = policy._replace(denied=None), on_own_lists(policy, policy.denied)
    return sum(int(sizes(today, denied, alone, user, how).sum()) for user in chunks(users))


def on_own_lists(policy: Policy, denied: Seen) -> Seen:
    """Of what is denied, what users could have got who have a list of their own."""
    if policy.allowed is None:
        return denied
    assert policy.kept is not None
    items, owner, own = len(policy.kept), denied.user(), policy.allowed.items
    free = ~policy.allowed.restricted[owner]
    here = free | np.isin(owner * items + denied.item_row, own.user() * items + own.item_row)
    return Seen.of(owner[here], denied.item_row[here], len(denied.start) - 1)


def own_lists(today: Today, policy: Policy, how: Scoring) -> Int64:
    """How many items each user to score who has a list of one's own can get of it, int64 [users]."""
    if policy.allowed is None:
        return np.zeros(0, np.int64)
    own, users = policy.allowed.items, today.users[policy.allowed.restricted[today.users]]
    return np.concatenate([np.zeros(0, np.int64), *(sizes(today, own, policy, user, how) for user in chunks(users))])


def sizes(today: Today, lists: Seen, policy: Policy, user: Int64, how: Scoring) -> Int64:
    """Of the items listed for users [B], how many are kept in the catalogue and neither met nor denied, int64 [B]."""
    hidden = Seen.none(len(user)) if how.seen == "keep" else today.world.seen(user)
    if policy.denied is not None:
        hidden = hidden.plus(policy.denied.take(user))
    assert policy.kept is not None
    left = without(lists.take(user), hidden, len(policy.kept))
    return np.bincount(left.user()[policy.kept[left.item_row]], minlength=len(user))


def broken(user: Int64, item: Int64, policy: Policy, items: int) -> dict[str, int]:
    """Rows of lists, int64 [rows] of users and of items, that break a rule, by kind."""
    pair, found = user * items + item, {}
    if policy.denied is not None:
        denied = policy.denied.user() * items + policy.denied.item_row
        found["items that are denied to the user"] = int(np.isin(pair, denied).sum())
    if policy.allowed is not None:
        own = policy.allowed.items.user() * items + policy.allowed.items.item_row
        found["items that are not on the user's own list"] = int(
            (policy.allowed.restricted[user] & ~np.isin(pair, own)).sum()
        )
    if policy.caps is not None:
        kind, kinds = policy.caps.kind[item], len(policy.caps.limit)
        of_kind = (user[:, None] * kinds + kind)[kind >= 0]
        of_kind, held = np.unique(of_kind, return_counts=True)
        found["more items of a kind than its cap allows"] = int((held > policy.caps.limit[of_kind % kinds]).sum())
    return found
