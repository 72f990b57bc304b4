"""A directory that holds one of everything that a report shows: real files where they are cheap, records elsewhere."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rec_export.analysis import ItemBias, Predictions
from rec_export.metrics import Estimate
from tests.conftest import LAST_DAY, done, write_table
from trainers.ablate import Ablation, Compared
from trainers.course import Epoch
from trainers.find_lr import RangeTest
from trainers.ratings import RatingEvaluation, RatingSegment
from trainers.tune import Search, TrialTold

EVIL = "<script>alert('evil')</script>"
DAY_BEFORE = "2026-10-29"


class Page(HTMLParser):
    """A page as a browser sees it: open tags, headings, attributes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        """How often a tag is opened."""
        return sum(name == tag for name, _ in self.tags)

    def of(self, tag: str, attribute: str) -> list[str]:
        """The values of an attribute."""
        return [str(attrs[attribute]) for name, attrs in self.tags if name == tag and attribute in attrs]


@pytest.fixture(scope="session")
def held_out(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likings after the shop's log: of each of 30 users, and of 5 new ones, some item that was not met."""
    log = pq.read_table(shop / "interactions.parquet", columns=["user_id", "item_id"])
    items = pq.read_table(shop / "items.parquet", columns=["item_id"])["item_id"].to_pylist()
    users, rows = pc.unique(log["user_id"]).to_pylist()[:30], []
    for user in users:
        met = set(log.filter(pc.equal(log["user_id"], user))["item_id"].to_pylist())
        rows += [(user, item) for item in items if item not in met][:3]
    rows += [(f"newcomer-{n}", items[n]) for n in range(5)]
    schema = pq.read_schema(shop / "interactions.parquet")
    time = schema.names[2]
    now = pc.max(pq.read_table(shop / "interactions.parquet", columns=[time])[time])
    names, found = zip(*rows, strict=True)
    columns = {"user_id": names, "item_id": found, time: pa.array([now.as_py()] * len(rows), schema.field(time).type)}
    for name in schema.names[3:]:
        columns[name] = pa.array([5] * len(rows), schema.field(name).type)
    return write_table(tmp_path_factory.mktemp("later") / "later.parquet", **columns)


@pytest.fixture(scope="session")
def gallery(
    shop: Path, trained: Path, exported: Path, held_out: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Checkpoint, bundle, lists of two days, evaluation, ablation and range test. No test may change it."""
    folder = tmp_path_factory.mktemp("gallery")
    shutil.copytree(trained, folder / "checkpoint")
    shutil.copytree(exported, folder / "bundle")
    for day in (DAY_BEFORE, LAST_DAY):
        done("score", exported, "--interactions", shop / "interactions.parquet", "--out", folder / "recs", "--k", 10,
             "--run-date", day)  # fmt: skip
    done("evaluate", trained, "--test", held_out, "--out", folder / "evaluation", "--bootstrap", 100, "--k", 10)
    write_gate(folder / "checkpoint")
    write_ratings(folder / "evaluation")
    write_ablation(folder / "ablation")
    (folder / "find-lr").mkdir()
    range_test(0.003).write(folder / "find-lr" / "range.json")
    (folder / "tuned").mkdir()
    search("ndcg@10", [0.1, 0.3, 0.2]).write(folder / "tuned" / "search.json")
    return folder


def search(metric: str, values: list[float]) -> Search:
    """What `tune` leaves: the configuration as it is, others, and one that was stopped."""
    states = ["complete"] * len(values) + ["pruned"]
    trials = [
        TrialTold(number=n, state=state, value=value, epochs=2, seconds=1.0, changes=(f"model.dim={n}",) if n else ())
        for n, (state, value) in enumerate(zip(states, [*values, 0.05], strict=True))
    ]
    return Search(metric=metric, trials=tuple(trials))


def range_test(suggested: float | None) -> RangeTest:
    """What `find-lr` leaves where the loss falls towards a hundredth."""
    rates = np.geomspace(1e-5, 1, 30)
    losses = tuple(8 - 2 * np.exp(-((np.log10(rates) + 2) ** 2)))
    told = {"suggested": suggested, "between": (0.002, 0.004), "reason": "" if suggested else "the loss hardly falls"}
    return RangeTest(rates=tuple(rates), batches=losses, losses=losses, seeds=1, **told)


def write_gate(checkpoint: Path) -> None:
    """Epochs of a model with a gate: what the shop's model has, with shares."""
    path = checkpoint / "history.jsonl"
    epochs = [json.loads(line) for line in path.read_text().splitlines()]
    kinds = {"all": (0.6, 0.4), "<=3": (0.8, 0.2), ">30": (0.5, 0.5)}
    shares = {kind: {"long": a, "trend": b} for kind, (a, b) in kinds.items()}
    spread = {kind: {"long": 0.1, "trend": 0.1} for kind in kinds}
    told = {"gate": shares, "gate_spread": spread, "gate_entropy": dict.fromkeys(kinds, 0.61)}
    path.write_text("".join(Epoch(**{**epoch, **told}).model_dump_json() + "\n" for epoch in epochs))


def write_ratings(evaluation: Path) -> None:
    """The analysis of predictions, whose items have evil names, and the table of RMSE beside it."""
    rng = np.random.default_rng(0)
    true = rng.integers(1, 6, 500).astype(float)
    evil = ItemBias(item=EVIL, title="</td><b onclick='x'>$10 & more</b>", effect=0.9, rows=3, mean=5.0, most=5.0)
    found = Predictions.measured(true, true * 0.3 + rng.normal(3, 0.4, 500), (evil,), (evil,))
    found.write(evaluation / "predictions.json")
    metrics = {name: Estimate(mean=0.9, low=0.8, high=1.0) for name in ("rmse", "mae", "r2")}
    gap = {name: Estimate(mean=-0.02, low=-0.03, high=-0.01) for name in metrics}
    who = {"model": metrics, "constant": metrics, "biases": metrics}
    rated = RatingSegment(rows=500, users=90, metrics=who, paired={"constant": gap, "biases": gap})
    ratings = RatingEvaluation(target="value", ridge=(5.0, 5.0), segments={"all": rated})
    path = evaluation / "evaluation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "ratings": ratings.model_dump()}))


def write_ablation(folder: Path) -> None:
    """Two variants: one that is worse, and one that cannot be told apart."""
    folder.mkdir()

    def metrics(mean: float, width: float) -> dict[str, Estimate]:
        return {name: Estimate(mean=mean, low=mean - width, high=mean + width) for name in ("hr@10", "ndcg@10")}

    def variant(changes: tuple[str, ...], mean: float, gap: float | None) -> Compared:
        seeds = {"42": {"ndcg@10": mean - 0.001}, "43": {"ndcg@10": mean + 0.001}}
        told = None if gap is None else metrics(gap, 0.004)
        return Compared(
            changes=changes, seeds=seeds, epochs={"42": 3, "43": 4}, metrics=metrics(mean, 0.01), difference=told
        )

    Ablation(
        users=300,
        k=10,
        variants={
            "base": variant((), 0.1, None),
            "no-history": variant(("model.rates=1",), 0.08, -0.02),
            "no-trend": variant(("model.trends=1",), 0.099, -0.001),
        },
    ).write(folder / "ablation.json")
