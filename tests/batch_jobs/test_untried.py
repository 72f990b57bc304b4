"""A night whose lists are mostly of what nobody ever liked is refused; one that is meant to be so is not asked."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from rec_export.recs import Recs
from tests.batch_jobs.conftest import LAST, configured, night, report
from tests.conftest import read_lists

KNOWN, NEW = 5, 100  # in tonight's table


@pytest.fixture
def archive(place: Path) -> Path:
    """The shop, whose table of items holds few that anybody ever liked."""
    items = pd.read_parquet(place / "items.parquet")
    log = pd.read_parquet(place / "interactions.parquet")
    best = log[log.rating >= 4].item_id.value_counts().index[:KNOWN]
    new = items.sample(NEW, replace=True, random_state=0).assign(item_id=[f"new{item}" for item in range(NEW)])
    pd.concat([items[items.item_id.isin(best)], new]).to_parquet(place / "items.parquet")
    return place


def untried(place: Path) -> tuple[str, float | None, str | None]:
    """What the gate said last."""
    (found,) = [one for one in report(place).gates if one.gate == "untried"]
    return found.verdict, found.value, found.reason


def test_lists_of_what_nobody_ever_liked_are_not_published(archive: Path, exported: Path) -> None:
    configured(archive, exported, {"untried": 0.01})
    said = night(archive, LAST, code=80).err
    assert "but should be at most 0.01 of places, which hold what nobody ever liked" in said
    assert Recs.at(archive / "recs").dates() == []
    configured(archive, exported)
    night(archive, LAST)
    rows = read_lists(archive / "recs" / f"run_date={LAST}")
    share = sum(str(item).startswith("new") for item in rows["item_id"].to_pylist()) / len(rows)
    assert share > 0.01
    verdict, value, _ = untried(archive)
    assert verdict == "passed"
    assert value == pytest.approx(share, abs=1e-4)


def test_where_nothing_else_may_be_recommended_it_is_not_asked(archive: Path) -> None:
    fields = yaml.safe_load((archive / "config.yaml").read_text())
    fields["rules"] = {"allow": [f"new{item}" for item in range(30)]}
    (archive / "config.yaml").write_text(yaml.safe_dump(fields))
    night(archive, LAST)
    assert untried(archive) == ("skipped", None, "0 other items may be recommended, and lists hold 5")


def test_lists_of_what_was_liked_pass(place: Path) -> None:
    night(place, LAST)
    assert untried(place)[:2] == ("passed", 0.0)
