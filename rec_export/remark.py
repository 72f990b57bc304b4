"""A remark on a model that does no better than what it must beat, in one plain line; nothing where it does."""

from collections.abc import Mapping

from rec_export.metrics import LOWER_IS_BETTER, Estimate, gain

MUST_BEAT = {
    "recent": "recent popularity",
    "popular": "popularity",
    "biases": "the biases of users and items",
    "constant": "the mean of all values",
}
"""The baselines, and what a person calls them; chance is none."""


def remark(
    model: str,
    metric: str,
    figures: Mapping[str, float],
    rows: str,
    gaps: Mapping[str, Estimate] | None = None,
    label: str | None = None,
) -> str | None:
    """The line, where the best baseline is as good as the model; of the model `popular`, which is one, there is none.

    `figures` holds the metric of "model" and of the baselines on these rows; `gaps` the paired differences of the model
    to them, where they are known; `label` is what tells the model from others.
    """
    beside = [name for name in MUST_BEAT if name in figures]
    best = max(beside, key=lambda name: gain(metric, figures[name]), default=None)
    if best is None or model == "popular":
        return None
    gap = (gaps or {}).get(best)
    apart = figures["model"] - figures[best] if gap is None else gap.mean
    if gain(metric, apart) > 0:
        return None
    told = f"{metric} {figures['model']:.4f} against {figures[best]:.4f}, a difference of {apart:+.4f}"
    return (
        f"{label or model} does no better than {MUST_BEAT[best]} on the {rows} rows: {told}{sureness(metric, gap)};"
        f" {remedy(best)}"
    )


def sureness(metric: str, gap: Estimate | None) -> str:
    """How sure a difference is."""
    if gap is None:
        return ", whose interval `rec-export evaluate` tells"
    sure = gap.low > 0 if metric in LOWER_IS_BETTER else gap.high < 0
    return f" [{gap.low:+.4f}, {gap.high:+.4f}], {'so it is worse' if sure else 'which may be chance'}"


def remedy(best: str) -> str:
    """What to do."""
    if best in ("biases", "constant"):
        return "try `rec-export tune` or another model.name"
    return "try `rec-export tune` or another model.name, or publish that baseline, which is model.name: popular"
