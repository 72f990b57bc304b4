"""Evaluations and ablations as tables that fit a terminal."""

from collections.abc import Iterator

from rec_export.held_out import LENGTHS
from rec_export.metrics import NAMES, RATING_NAMES, Estimate, gain
from rec_export.remark import remark
from rec_export.words import counted, model_called
from trainers.ablate import Ablation
from trainers.evaluate import Evaluation, Segment

WIDTH = 9  # of the column of names, if they are no longer


def evaluation_lines(result: Evaluation, verbose: bool) -> Iterator[str]:
    """All users at one K, one metric by kind of user, paired differences; `verbose`: all of it for each kind."""
    k = 10 if 10 in result.k else result.k[0]
    metric = f"ndcg@{k}"
    yield f"{result.test_rows:,} held-out rows, full ranking of {result.items:,} items; 95% intervals over users"
    if result.seen == "keep":
        yield "what users had met counts as well, as lists may hold it (score.seen: keep); --seen exclude: what is new"
    yield from full(result) if verbose else table(result, "all", (k,))
    yield from ["", *(by_length if verbose else by_kind)(result, metric), "", *paired(result, metric), *sampled(result)]
    yield from rated(result, verbose)
    yield from remarks(result, metric)
    if not verbose:
        yield from ["", "more: --verbose; all there is: --json, or --out DIR and `rec-export report DIR`"]


def full(result: Evaluation) -> Iterator[str]:
    """Tables of all, warm and cold users, at every K."""
    for name in next(iter(result.results.values())):
        if name not in LENGTHS:
            yield from table(result, name, result.k)


def table(result: Evaluation, segment: str, ks: tuple[int, ...]) -> Iterator[str]:
    """All metrics of users of one kind."""
    users = next(iter(result.results.values()))[segment].users
    yield from ["", f"{segment}: {counted(users, 'user')}"]
    if users:
        yield "".join(
            [f"{' ' * name_width(result)}{'k':>5}", *(f"{metric:>23}" for metric in NAMES), f"{'coverage':>9}"]
        )
        for k in ks:
            for lister, segments in result.results.items():
                yield row(named(result, lister), k, segments[segment])


def title(result: Evaluation, lister: str) -> str:
    """What a lister is called in a table."""
    return model_called(result.model) if lister == "model" else lister


def name_width(result: Evaluation) -> int:
    """Of the column of names."""
    return max(WIDTH, *(len(title(result, lister)) for lister in result.results))


def named(result: Evaluation, lister: str) -> str:
    """What a lister is called, in the column of names."""
    return title(result, lister).rjust(name_width(result))


def row(name: str, k: int, segment: Segment) -> str:
    """The metrics of one lister at one k."""
    cells = [interval(segment.metrics[f"{metric}@{k}"]).rjust(23) for metric in NAMES]
    return "".join([f"{name}{k:>5}", *cells, f"{short(segment.coverage[f'coverage@{k}']):>9}"])


def by_length(result: Evaluation, metric: str) -> Iterator[str]:
    """One metric of warm users, by how many items they had liked before."""
    users = {name: segment.users for name, segment in next(iter(result.results.values())).items() if name in LENGTHS}
    yield f"{metric} by the number of items that a warm user had liked"
    yield "".join([" " * name_width(result), *(f"{f'{name} ({count:,})':>23}" for name, count in users.items())])
    for lister, segments in result.results.items():
        cells = [interval(segments[name].metrics[metric]) if users[name] else "" for name in users]
        yield "".join([named(result, lister), *(f"{cell:>23}" for cell in cells)])


def by_kind(result: Evaluation, metric: str) -> Iterator[str]:
    """One metric by kind of user: warm and cold, and warm ones by how many items they had liked before."""
    users = {name: segment.users for name, segment in next(iter(result.results.values())).items() if name != "all"}
    names = "".join(f"{title(result, lister):>23}" for lister in result.results)
    yield f"{f'{metric} by kind':<18}{'users':>8}{names}"
    for kind, count in users.items():
        told = f"warm, {kind} liked" if kind in LENGTHS else kind
        cells = (interval(one[kind].metrics[metric]) if count else "" for one in result.results.values())
        yield f"{told:<18}{count:>8,}{''.join(f'{cell:>23}' for cell in cells)}".rstrip()


def paired(result: Evaluation, metric: str) -> Iterator[str]:
    """How much better the model served the same users than each other lister."""
    others = "; of these trainings: another seed may tell otherwise" if "against" in result.paired else ""
    yield f"{metric} of {model_called(result.model)} minus that of each other, over all users, paired{others}"
    for lister, segments in result.paired.items():
        value = segments["all"][metric]
        told = f"{signed(value)}  {verdict(value, metric)}"
        yield f"{lister:>{name_width(result)}}  {told}".rstrip()


def remarks(result: Evaluation, metric: str) -> Iterator[str]:
    """A line where the lists, or the predicted values, are no better than what they must beat."""
    means = {name: segments["all"].metrics[metric].mean for name, segments in result.results.items()}
    gaps = {name: segments["all"][metric] for name, segments in result.paired.items()}
    told = [remark(result.model, metric, means, "test", gaps)]
    if result.ratings is not None and result.ratings.segments["all"].rows:
        values = result.ratings.segments["all"]
        means = {name: found["rmse"].mean for name, found in values.metrics.items()}
        gaps = {name: found["rmse"] for name, found in values.paired.items()}
        told.append(remark(result.model, "rmse", means, "test", gaps))
    for line in filter(None, told):
        yield from ["", f"WARNING   {line}"]


def sampled(result: Evaluation) -> Iterator[str]:
    """The metrics of the sampled protocol, with the warning that belongs to them."""
    if result.sampled is None:
        return
    yield from ["", "among sampled items, for comparison with papers alone: not to be compared with the figures above"]
    yield f"means over held-out rows, each among {result.negatives} that are drawn uniformly, the same for all"
    for lister, metrics in result.sampled.items():
        figures = "  ".join(f"{metric} {short(value)}" for metric, value in metrics.items())
        yield f"{named(result, lister)}  {figures}"


def rated(result: Evaluation, verbose: bool) -> Iterator[str]:
    """How well values were predicted, and paired differences in RMSE; `verbose`: of warm and cold rows too."""
    if result.ratings is None:
        return
    unit = {"value": "values", "log": "log(1 + value)"}[result.ratings.target]
    ridge = result.ratings.ridge
    yield from ["", f"predicted {unit} of all held-out rows, liked or not; 95% intervals over users"]
    yield f"biases of users and items: ridge {ridge.user:g} and {ridge.item:g}, chosen on a tenth of the known rows"
    for name, segment in result.ratings.segments.items():
        if not verbose and name != "all":
            continue
        yield f"{name}: {counted(segment.rows, 'row')} of {counted(segment.users, 'user')}"
        if segment.rows == 0:
            continue
        yield (
            " " * name_width(result)
            + "".join(f"{metric:>28}" for metric in RATING_NAMES)
            + f"{'rmse of the model minus it':>35}"
        )
        for who, metrics in segment.metrics.items():
            cells = "".join(f"{whole(metrics[metric]):>28}" for metric in RATING_NAMES)
            gap = segment.paired[who]["rmse"] if who in segment.paired else None
            told = "" if gap is None else f"{signed(gap)}  {verdict(gap, 'rmse')}"
            yield f"{named(result, who)}{cells}    {told}".rstrip()


def whole(value: Estimate) -> str:
    """A mean and its interval, of a metric that is no share."""
    return f"{value.mean:.4f} [{value.low:.4f}, {value.high:.4f}]"


def interval(value: Estimate) -> str:
    """A mean and its interval; of a metric that is the same for everybody, draws tell nothing."""
    same = value.low == value.high
    return f"{short(value.mean)}{'' if same else f' [{short(value.low)}-{short(value.high)}]'}"


def short(share: float) -> str:
    """Four places, without the leading zero: the table must fit a terminal."""
    return f"{share:.4f}".removeprefix("0")


def ablation_lines(result: Ablation) -> Iterator[str]:
    """One line for each variant: its metrics, and how it differs from the base, over all seeds and in each."""
    metric = f"ndcg@{result.k}"
    width = max(map(len, [*result.variants, "against" if result.peer else ""]))
    seeds = len(next(iter(result.variants.values())).seeds)
    judged = f"{counted(result.users, 'user')}, {counted(seeds, 'seed')}"
    over = (
        "users and trainings, by Student's t"
        if seeds > 1
        else "users, of one training each: another seed may tell otherwise"
    )
    yield f"{judged}; 95% intervals over {over}"
    rest = f"  {f'{metric} minus that of the base':<36}in each seed" if len(result.variants) > 1 else ""
    yield f"{'':>{width}}{f'hr@{result.k}':>23}{metric:>23}{rest}"
    base = next(iter(result.variants.values()))
    for name, variant in result.variants.items():
        cells = "".join(f"{interval(variant.metrics[m]):>23}" for m in (f"hr@{result.k}", metric))
        told = ""
        if variant.difference is not None:
            gap = variant.difference[metric]
            each = [metrics[metric] - base.seeds[seed][metric] for seed, metrics in variant.seeds.items()]
            told = f"{signed(gap)} {verdict(gap, metric):<8} "
            told += " ".join(f"{one:+.4f}" for one in each)
            sure, torn = bool(verdict(gap, metric)), min(each) <= 0 <= max(each)
            told += "  but not in each seed, so it may be the seeds" if sure and torn else ""
            told += "  alike in each seed: more --seeds may tell" if not sure and not torn and seeds > 1 else ""
        yield f"{name:>{width}}{cells}  {told}".rstrip()
    if result.peer is not None:
        cells = "".join(f"{interval(result.peer[m]):>23}" for m in (f"hr@{result.k}", metric))
        yield f"{'against':>{width}}{cells}  {result.against}"
    yield from ["", f"{metric} in each seed: {', '.join(base.seeds)}"]
    for name, variant in result.variants.items():
        yield f"{name:>{width}}  " + " ".join(short(metrics[metric]) for metrics in variant.seeds.values())
    if result.against is not None:
        yield from ["", f"{metric} minus that of {result.against}, paired by user"]
        for name, variant in result.variants.items():
            gap = (variant.against or {})[metric]
            yield f"{name:>{width}}  {signed(gap)}  {verdict(gap, metric)}".rstrip()


def signed(gap: Estimate) -> str:
    """A difference and its interval; of one that is the same for everybody, draws tell nothing."""
    return f"{gap.mean:+.4f}" if gap.low == gap.high else f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"


def verdict(gap: Estimate, metric: str) -> str:
    """What a difference says; nothing where the interval holds zero."""
    return "" if gap.low <= 0 <= gap.high else ("better" if gain(metric, gap.mean) > 0 else "WORSE")
