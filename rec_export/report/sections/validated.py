"""What training saw of how good lists are on its validation rows, which also chose the epochs."""

from rec_export.remark import EVERYTHING, NEW
from rec_export.report.found import Found
from rec_export.report.page import Note, Section, Table, number, text
from rec_export.report.views import Outcome


def seen(label: str, one: Outcome) -> str:
    """What training saw of a model, and of what it must beat."""
    kinds = {NEW if one.returning else "": one.held_out, EVERYTHING: one.returning}
    told = []
    for what, held_out in kinds.items():
        others = [name for name in held_out if name != "model"]
        beside = ", ".join(f"{name} {held_out[name][one.plan.metric]:.4f}" for name in others)
        told += [f"{held_out['model'][one.plan.metric]:.4f} ({beside}){what}"] if held_out else []
    return f"{one.plan.metric} of {label} is {', and '.join(told)}"


def validated(found: Found) -> Section | None:
    """What training saw on its validation rows, which also chose the epochs."""
    outcomes = {
        label: Outcome.read(p / "metrics.json")
        for label, p in found.each("checkpoint")
        if (p / "metrics.json").is_file()
    }
    outcomes = {label: one for label, one in outcomes.items() if one.held_out or one.returning}
    if not outcomes:
        return None
    chose = "the epochs and the habits" if any(one.returning for one in outcomes.values()) else "the epochs"
    line = f"On the validation rows, which also chose {chose}, {'; '.join(seen(*one) for one in outcomes.items())}."
    names = sorted({metric for one in outcomes.values() for metric in (one.held_out or one.returning)["model"]})
    rows = [
        (text(label), text(who), *(number(metrics.get(name), ".4f") for name in names))
        for label, one in outcomes.items()
        for who, metrics in (*one.held_out.items(), *((f"everything: {who}", m) for who, m in one.returning.items()))
    ]
    note = (
        "There are no intervals here: rec-export evaluate CHECKPOINT --out DIR judges on rows that chose nothing, where"
        " the split (data.split) holds out a test part, or with --test on later rows."
    )
    return Section(
        "quality",
        "Quality",
        line,
        [Table("Metrics on the validation rows", ("model", "lists of", *names), rows), Note(note)],
    )
