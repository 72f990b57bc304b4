"""MODEL_CARD.md says what is known, and no more."""

import json
from pathlib import Path

from exporters.card import data_rows
from rec_export.bundle import Bundle
from rec_export.data.clock import Clock
from tests.exporters.conftest import Make


def rows(card: str, title: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    lines = card.split(f"## {title}\n")[1].split("\n## ")[0].splitlines()
    table = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return table[2:]


def test_the_metrics_are_those_of_the_training(exported: Path, trained: Path) -> None:
    card = (exported / "MODEL_CARD.md").read_text()
    held_out = json.loads((trained / "metrics.json").read_text())["held_out"]
    assert rows(card, "Metrics on the validation rows") == [
        [name, f"{value:.4f}", f"{held_out['popular'][name]:.4f}"] for name, value in held_out["model"].items()
    ]


def test_every_input_and_every_file_is_in_it(exported: Path) -> None:
    manifest = Bundle.read(exported).manifest
    card = (exported / "MODEL_CARD.md").read_text()
    inputs = [(part, f"`{port.name}`") for part, called in manifest.signatures.items() for port in called.inputs]
    assert [(row[0], row[1]) for row in rows(card, "Inputs")] == inputs
    assert [row[0] for row in rows(card, "Parity with the trained model")] == [one.artefact for one in manifest.parity]
    assert ["sha256 of the weights", f"`{manifest.checkpoint}`"] in rows(card, "Model")


def test_what_counts_of_the_date_is_told(exported: Path, pristine: Make) -> None:
    manifest = Bundle.read(exported).manifest
    blueprint = manifest.blueprint.model_copy(update={"clock": Clock()})
    timed = dict(data_rows(manifest, {}, 1))
    timeless = dict(data_rows(manifest.model_copy(update={"blueprint": blueprint}), {}, 1))
    date = "the date of the lists, and the days since the last liking, in `context`"
    assert (timed[date], timeless[date]) == ("count", "are 0, as time told nothing")
    nobody = "the list of somebody of whom nothing is told"
    assert (timed[nobody], timeless[nobody][:13]) == ("is what newcomers like", "means nothing")
    rows_alone = Bundle.read(pristine("pmf")).manifest.model_copy(update={"blueprint": manifest.blueprint})
    assert dict(data_rows(rows_alone, {}, 1))[nobody].startswith("means nothing")  # an embedding tells nothing of it


def test_of_every_input_but_vectors_it_says_what_becomes_of_what_is_not_known(pristine: Make) -> None:
    table = rows((pristine("everything") / "MODEL_CARD.md").read_text(), "Inputs")
    assert {row[0] for row in table if len(row) < 5} == {"pair_head"}
    told = {row[1]: row[4] for row in table if len(row) == 5}
    assert told["`category.brand`"].startswith("missing: U+FFFF, ")
    assert told["`category`"].startswith("outside the vocabulary of its column: ")
    assert told["`text.title`"].startswith("empty: ")


def test_what_a_checkpoint_does_not_tell_is_not_made_up(pristine: Make) -> None:
    card = (pristine("pmf") / "MODEL_CARD.md").read_text()
    assert "## Metrics\n\nNone: " in card
    assert "parameters" not in card
