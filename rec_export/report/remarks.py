"""What a reader of the report must not miss: models that are no better than what they must beat."""

from collections.abc import Iterator

from rec_export.remark import EVERYTHING, NEW, remark
from rec_export.report.found import EVALUATION, Found, Subject
from rec_export.report.sections.quality import metric_of
from rec_export.report.views import Evaluation, Outcome, Spec


def remarks(found: Found) -> Iterator[str]:
    """A line for each such model: on test rows, and where nobody judged it on those, on its validation rows."""
    for one in found.subjects:
        told = judged(one) if one.evaluation is not None else validated(one)
        yield from (line for line in told if line is not None)


def judged(one: Subject) -> Iterator[str | None]:
    """What is to be remarked of lists, and of predicted values where there are some."""
    assert one.evaluation is not None
    found = Evaluation.read(one.evaluation / EVALUATION)
    metric = metric_of(found)
    means = {name: kinds["all"].metrics[metric].mean for name, kinds in found.results.items()}
    gaps = {name: kinds["all"][metric] for name, kinds in found.paired.items()}
    yield remark(found.model, metric, means, "test", gaps, label=one.label)
    if found.ratings is not None and found.ratings.segments["all"].rows:
        values = found.ratings.segments["all"]
        means = {name: metrics["rmse"].mean for name, metrics in values.metrics.items()}
        gaps = {name: metrics["rmse"] for name, metrics in values.paired.items()}
        yield remark(found.model, "rmse", means, "test", gaps, label=one.label)


def validated(one: Subject) -> Iterator[str | None]:
    """What is to be remarked of a training."""
    path = one.checkpoint and one.checkpoint / "metrics.json"
    if path is None or not path.is_file():
        return
    found = Outcome.read(path)
    metric = found.plan.metric
    means = {name: metrics[metric] for name, metrics in found.held_out.items() if metric in metrics}
    cut_short = bool(found.held_out) and found.best_epoch == found.plan.epochs
    model = str(Spec.read(path.with_name("spec.json")).model["name"])
    new = NEW if found.returning else ""
    yield remark(model, metric, means, "validation", label=one.label, cut_short=cut_short, what=new)
    again = {name: metrics[metric] for name, metrics in found.returning.items() if metric in metrics}
    yield remark(model, metric, again, "validation", label=one.label, cut_short=cut_short, what=EVERYTHING)
