"""Every row of every table is looked up, so that one wrong row is found wherever it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporters.cases import Arrays, Case, Source
from exporters.corpus import corpus
from exporters.job import ExportJob, run
from exporters.parts import Part
from exporters.tables import every_row
from rec_export.catalogue import Catalogue
from rec_export.errors import ParityError
from tests.exporters.conftest import ITEMS, Make, whole
from tests.exporters.test_parity import plant, with_a_nan_row


def calls(part: Part, catalogue: Catalogue) -> list[Arrays]:
    """What is called for the tables of a tower."""
    side = catalogue.users if part.name == "user_tower" else catalogue.items
    return [case.inputs for case in every_row(Source(part.inputs, side, ITEMS, history=20))]


def together(inputs: list[Arrays], name: str) -> list[int]:
    """The values of an input over all calls, each once."""
    return np.unique(np.concatenate([one[name].ravel() for one in inputs])).tolist()


@pytest.mark.parametrize("at_once", [4, 4096])
def test_every_row_of_every_table_is_looked_up(at_once: int, checkpoint: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporters.tables.AT_ONCE", at_once)
    parts, _, catalogue = whole(checkpoint("everything"))
    for part, side in zip(parts, catalogue, strict=False):
        tried = calls(part, catalogue)
        assert together(tried, "row") == list(range(side.sizes.rows))
        assert together(tried, "tags") == list(range(side.sizes.tags))
        for place, values in enumerate(side.sizes.category):
            assert together([{"one": one["category"][:, place]} for one in tried], "one") == list(range(values))
    users = calls(parts[0], catalogue)
    assert together(users, "history") == list(range(ITEMS))
    assert all((one["history_length"] == one["history"].shape[1]).all() for one in users)


def test_of_very_long_tables_as_many_rows_are_drawn(checkpoint: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporters.tables.MOST_ROWS", 30)
    parts, _, catalogue = whole(checkpoint("everything"))
    drawn = together(calls(parts[1], catalogue), "row")
    assert len(drawn) == 30
    assert max(drawn) > 30


def test_a_tower_without_tables_needs_no_calls(checkpoint: Make) -> None:
    parts, _, catalogue = whole(checkpoint("popular"))
    assert calls(replace(parts[0], inputs=parts[0].inputs[:0]), catalogue) == []


def test_one_wrong_row_is_refused_though_no_drawn_row_shows_it(
    checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(*told: object) -> list[Case]:
        (name, inputs), *_ = corpus(*told)  # type: ignore[arg-type]
        far = np.flatnonzero(inputs["row"] != ITEMS // 2)[:3]
        return [Case(name, {port: array[far] for port, array in inputs.items()})]

    monkeypatch.setattr("exporters.parity.corpus", few)
    plant(monkeypatch, "torchscript", "item_tower", with_a_nan_row)
    with pytest.raises(ParityError, match=r"item_tower .* in the case 'rows of every table from 0' 10 of 1,300 values"):
        run(ExportJob(checkpoint=checkpoint("everything"), out=tmp_path / "bundle", formats=("torchscript",)))
