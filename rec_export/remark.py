"""A remark on a model that does no better than what it must beat, in one plain line; nothing where it does."""

from collections.abc import Mapping

from rec_export.metrics import Estimate, gain

MUST_BEAT = {
    "habit": "what each user has liked most often",
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
    cut_short: bool = False,
    what: str = "",
) -> str | None:
    """The line, where the best baseline is as good as the model; of the model `popular`, which is one, there is none.

    `figures` holds the metric of "model" and of the baselines on these rows; `gaps` the paired differences of the model
    to them, where they are known; `label` is what tells the model from others; `cut_short` says that its best epoch was
    the last one allowed; `what` says of which of the rows.
    """
    beside = [name for name in MUST_BEAT if name in figures]
    best = max(beside, key=lambda name: gain(metric, figures[name]), default=None)
    if best is None or model == "popular":
        return None
    gap = (gaps or {}).get(best)
    apart = figures["model"] - figures[best] if gap is None else gap.mean
    if gain(metric, apart) > 0:
        return None
    verb, sureness = "does no better than", "no interval is computed"
    if gap is not None and gap.low < gap.high:  # without draws both ends are the mean
        sure = max(gain(metric, gap.low), gain(metric, gap.high)) < 0
        verb = "does worse than" if sure else verb
        interval = f"the difference lies in [{gap.low:+.4f}, {gap.high:+.4f}]"
        sureness = interval if sure else f"{interval} and may be chance"
    told = f"{metric} {figures['model']:.4f} against {figures[best]:.4f} ({sureness})"
    return f"{label or model} {verb} {MUST_BEAT[best]} on the {rows} rows{what}: {told}; {remedy(best, cut_short)}"


NEW, EVERYTHING = ", of what is new", ", of everything"
"""What held-out rows of a model with habits are judged for."""


def remedy(best: str, cut_short: bool) -> str:
    """What to do."""
    longer = "raise training.epochs, as the best epoch was the last one allowed; or " if cut_short else ""
    if best in ("biases", "constant"):
        return f"{longer}try `rec-export tune` or another model.name"
    if best == "habit":
        return f"{longer}try another model.name, trained with score.seen: keep (docs/habits.md)"
    baseline = "train that baseline, `model.name: popular`"
    return f"{longer}try `rec-export tune` or another model.name, or {baseline}"
