"""Tonight's business rules: the section `rules` against tonight's catalogue, and what it leaves out, counted.

What leaves an item out for everybody is taken from the catalogue, so it costs nothing. The rest is a Policy, which the
scan keeps to. Each count is of that rule alone, whatever the others leave out.
"""

import logging
from typing import NamedTuple

import numpy as np

from batch_jobs.job import ScoreJob
from batch_jobs.rule_files import caps_of, columns_of, items_of, pairs_of, too_small, with_values
from batch_jobs.today import Today
from rec_export.config import Scoring
from rec_export.data.columns import Bool, Int64
from rec_export.data.config import DataConfig
from rec_export.errors import DataError
from rec_export.policy import NO_RULES, Policy
from rec_export.recs import RulesRun, RunManifest
from rec_export.rules import Rules
from rec_export.scorer import Scorer, chunks
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
    rules = job.rules
    if not rules.declared():
        return Ruling(NO_RULES, None)
    items = len(today.catalogue.items.vocab)
    before = np.ones(items, np.bool_) if today.eligible is None else today.eligible
    unmatched: dict[str, int] = {}
    out = left_out(rules, today, job, data, unmatched)
    eligible = before & ~np.any([np.zeros(items, np.bool_), *out.values()], axis=0)
    counts = {name: int((before & which).sum()) for name, which in out.items()}
    refuse_nothing(eligible, counts, how.k)
    policy = policy_of(rules, today, job, data, unmatched)
    own = own_lists(today, policy, eligible, how)
    told = RulesRun(
        declared=rules.declared(), approximate=("diversity",) if rules.diversity else (),
        items_before=int(before.sum()),
        items=counts, unmatched=unmatched, denied_pairs=denied_pairs(today, policy, eligible, how),
        restricted_users=len(own), short_of_own=int((own < how.k).sum()), empty_of_own=int((own == 0).sum()),
    )  # fmt: skip
    return Ruling(policy._replace(kept=eligible), told)


def left_out(rules: Rules, today: Today, job: ScoreJob, data: DataConfig, unmatched: dict[str, int]) -> dict[str, Bool]:
    """The items that each rule leaves out for everybody, bool [N], by the rule."""
    vocab, out = today.catalogue.items.vocab, {}
    for name, listed in (("deny", rules.deny), ("allow", rules.allow)):
        if listed is not None:
            named = np.zeros(len(vocab), np.bool_)
            rows = items_of(listed, f"rules.{name}", vocab, unmatched)
            named[rows] = True
            out[name] = named if name == "deny" else ~named
    table = columns_of(rules, job, data, vocab)
    for column, values in rules.exclude.items():
        out[f"exclude.{column}"] = with_values(table[column], values, f"rules.exclude.{column}")
    for column, least in rules.minimum.items():
        out[f"minimum.{column}"] = too_small(table[column], least, f"rules.minimum.{column}")
    return out


def refuse_nothing(eligible: Bool, counts: dict[str, int], k: int) -> None:
    """Raise DataError where nothing is left; a warning where no list can be full."""
    left = int(eligible.sum())
    told = ", ".join(f"{name} takes {count:,}" for name, count in counts.items())
    if left == 0:
        raise DataError(f"the rules leave none of tonight's {len(eligible):,} items ({told}); look at their files")
    if left < k and counts:
        log.warning("the rules leave %s items, fewer than the %s of a list (%s)", f"{left:,}", k, told)


def policy_of(rules: Rules, today: Today, job: ScoreJob, data: DataConfig, unmatched: dict[str, int]) -> Policy:
    """The rules that lists keep to."""
    users, items = today.catalogue.users.vocab, today.catalogue.items.vocab
    denied = allowed = None
    if rules.deny_by_user is not None:
        denied = pairs_of(rules.deny_by_user, "rules.deny_by_user", users, items, unmatched).by_user(len(users))
    if rules.allow_by_user is not None:
        pairs = pairs_of(rules.allow_by_user, "rules.allow_by_user", users, items, unmatched)
        allowed = Allowed(pairs.named(len(users)), pairs.by_user(len(users)))
    caps = caps_of(rules.caps, columns_of(rules, job, data, items), data) if rules.caps else None
    diversity = rules.diversity and Diversity(rules.diversity.relevance, rules.diversity.fetch)
    return Policy(None, denied, allowed, caps, rules.popularity_penalty, diversity)


def denied_pairs(today: Today, policy: Policy, eligible: Bool, how: Scoring) -> int:
    """How many pairs of a user to score and an item that could be recommended are denied."""
    if policy.denied is None:
        return 0
    size = np.diff(policy.denied.start)
    users = today.users[size[today.users] > 0]
    return sum(int(sizes(today, policy.denied, None, user, eligible, how).sum()) for user in chunks(users))


def own_lists(today: Today, policy: Policy, eligible: Bool, how: Scoring) -> Int64:
    """How many items each user to score who has a list of one's own can get of it, int64 [users]."""
    if policy.allowed is None:
        return np.zeros(0, np.int64)
    own, users = policy.allowed.items, today.users[policy.allowed.restricted[today.users]]
    counted = [sizes(today, own, policy.denied, user, eligible, how) for user in chunks(users)]
    return np.concatenate([np.zeros(0, np.int64), *counted])


def sizes(today: Today, lists: Seen, denied: Seen | None, user: Int64, eligible: Bool, how: Scoring) -> Int64:
    """Of the items listed for users [B], how many are eligible and neither met nor denied, int64 [B]."""
    hidden = Seen.none(len(user)) if how.seen == "keep" else today.world.seen(user)
    if denied is not None:
        hidden = hidden.plus(denied.take(user))
    left = without(lists.take(user), hidden, len(eligible))
    return np.bincount(left.user()[eligible[left.item_row]], minlength=len(user))


def sentence(run: RunManifest) -> str:
    """What the rules of a run left out, in one line."""
    told = run.rules
    assert told is not None
    said = [f"{name} leaves out {count:,} of {told.items_before:,} items" for name, count in told.items.items()]
    if "deny_by_user" in told.declared:
        said.append(f"deny_by_user {told.denied_pairs:,} pairs")
    if "allow_by_user" in told.declared:
        said.append(f"allow_by_user binds {told.restricted_users:,} users")
    if "caps" in told.declared:
        said.append(f"caps keep {run.capped:,} items out of lists")
    if "diversity" in told.declared:
        said.append(f"diversity (approximate) changes {run.varied:,} items")
    if "popularity_penalty" in told.declared:
        said.append(f"popularity_penalty {told.declared['popularity_penalty']:g}")
    return ", ".join(said)


def broken(user: Int64, item: Int64, scorer: Scorer) -> dict[str, int]:
    """Rows of lists, int64 [rows] of users and of items, that break a rule, by kind."""
    policy, items, found = scorer.policy, len(scorer.place), {}
    pair = user * items + item
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
