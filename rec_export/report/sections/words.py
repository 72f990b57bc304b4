"""What the words of the page mean, for who opens it without the documents: those alone that stand on it."""

import re
from collections.abc import Iterator

from rec_export.report.page import Section, Table, text

MEASURES = {
    "hr": ("hr@K", "share of users of whose held-out items at least one is among the first K"),
    "recall": ("recall@K", "share of a user's held-out items that are among the first K; mean over users"),
    "ndcg": ("ndcg@K", "held-out items among the first K, each 1 / log2(1 + rank), of the best sum; mean over users"),
    "mrr": ("mrr@K", "1 / rank of the first held-out item among the first K, 0 without one; mean over users"),
    "coverage": ("coverage", "share of the items that stand in at least one list"),
    "habit": ("habit", "a baseline: what each user has liked most often, and then what is recent or popular"),
    "popular": ("popular", "a baseline: to everybody what most have liked at all times"),
    "recent": ("recent", "a baseline: the same of late, older likings counting less"),
    "random": ("random", "what chance would do: items drawn blindly"),
    "looks at no time": (
        "a second model that looks at no time",
        "stands beside one that looks at time, and says what somebody likes at all times",
    ),
    "auto-encoder": (
        "a shallow auto-encoder",
        "stands beside a model, and says what goes with what a user liked, as counts of all users have it",
    ),
    "soon after": (
        "counts of what is liked soon after what",
        "stand beside a model, and say what other users liked soon after what a user liked last",
    ),
    "biases": ("biases", "a baseline for values: the mean, plus one number for each user and each item"),
    "warm": ("warm, cold", "users with and without a row before what was held out"),
    "rank-biased overlap": ("rank-biased overlap", "how alike two lists are, the first places counting most: 0 to 1"),
    "population stability index": (
        "population stability index",
        "how far scores have moved: 0 not at all, 0.1 and 0.25 are the usual marks",
    ),
    "entropy": (
        "entropy",
        "of a gate's shares: 0 where one component has all, log of their number where they are equal",
    ),
}
"""By the word that is looked for."""
GATES = {
    "structure": "is any promise of the format broken: order, ranks, scores, items met or denied?",
    "covered": "have nearly all users a list?",
    "short_lists": "are many lists shorter than they should be?",
    "flat_lists": "do many lists have one and the same score throughout?",
    "same_list": "do many users get one and the same list from the model?",
    "first_item": "do many lists begin with one item?",
    "first_item_growth": "has that share grown since the run before?",
    "unknown_items": "are many rows of the log of items that the model was not trained on?",
    "unknown_users": "are many rows of the log of users that the model was not trained on?",
    "bad_rows": "can many rows of the log not be read?",
    "part_rows": "is a part much smaller or larger than most?",
    "recall": "do approximate lists hold what exact ones hold?",
    "log_rows": "has the log shrunk since the run before?",
    "users": "are there many users fewer or more than in the run before?",
    "items": "are far fewer different items recommended than before?",
    "sources": "have many users moved between model, cold and fallback?",
    "overlap": "do users keep some of the items of the run before, and not all?",
    "score_shift": "are the model's scores where they were?",
    "newest_event": "is the log of today?",
    "model_age": "is the bundle recent?",
    "untried": "are most places given to items that nobody ever liked?",
    "own_items": "does the model score what users liked last above what others liked last? Chance is one half",
    "command": "what does the team's own check say?",
}


def section(shown: list[Section]) -> Section | None:
    """The words that stand in the sections that are shown."""
    spoken = "\n".join(said(shown))
    asked = {row[0].text for one in tables(shown) if one.head[:2] == ("gate", "verdict") for row in one.rows}
    rows = [told for word, told in MEASURES.items() if re.search(rf"\b{word}\b", spoken)]
    rows += [(f"gate {name}", meaning) for name, meaning in GATES.items() if name in asked]
    if not rows:
        return None
    lines = [(text(word), text(meaning)) for word, meaning in rows]
    return Section("words", "Words", "What the words above mean.", [Table("Words", ("word", "meaning"), lines)])


def tables(shown: list[Section]) -> Iterator[Table]:
    """All tables."""
    yield from (block for one in shown for block in one.blocks if isinstance(block, Table))


def said(shown: list[Section]) -> Iterator[str]:
    """What is written above, but for the numbers."""
    yield from (one.headline for one in shown)
    for one in tables(shown):
        yield from (one.caption, *one.head, *(cell.text for row in one.rows for cell in row if cell.value is None))
