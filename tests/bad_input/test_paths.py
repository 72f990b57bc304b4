"""A path that cannot be used is named, and what to do about it."""

from pathlib import Path

import pytest
import torch

from tests.bad_input.conftest import ITEMS, error, item_columns
from tests.conftest import refusal, write_table


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ("train DIR/confg.yaml --out DIR/new", 66, "DIR/confg.yaml does not exist; did you mean 'config.yaml'?"),
        ("train DIR --out DIR/new", 2, "DIR is a folder; name a YAML file in it"),
        ("train DIR/config.yaml/x --out DIR/new", 66, "DIR/config.yaml/x does not exist; name a YAML file"),
        (
            "train DIR/config.yaml --out DIR/config.yaml",
            73,
            "DIR/config.yaml already exists; name a new directory or remove it first",
        ),
        (
            "train DIR/config.yaml --out DIR/new --set data.interactions.path=lg.parquet",
            66,
            "DIR/lg.parquet does not exist; did you mean 'log.parquet'?",
        ),
        ("train DIR/config.yaml --out DIR/new --device gpuu", 69, "there is no device 'gpuu'; use auto, cpu or cuda"),
        (
            "train DIR/config.yaml --out DIR/new --device cuda:99",
            69,
            "the device 'cuda:99' is not available here (@ CUDA devices); use --device cpu",
        ),
        ("evaluate DIR/nowhere", 66, "DIR/nowhere does not exist; name a directory that rec-export wrote"),
        ("evaluate DIR/confg.yaml", 66, "DIR/confg.yaml does not exist; did you mean 'config.yaml'?"),
        ("inspect DIR/confg.yaml", 66, "DIR/confg.yaml does not exist; did you mean 'config.yaml'?"),
        ("report DIR/confg.yaml --out DIR/new", 66, "DIR/confg.yaml does not exist; did you mean 'config.yaml'?"),
        ("verify DIR/confg.yaml", 66, "DIR/confg.yaml does not exist; did you mean 'config.yaml'?"),
        ("status DIR/confg.yaml", 66, "DIR/confg.yaml does not exist; did you mean 'config.yaml'?"),
        ("explain DIR/confg.yaml --user u", 66, "DIR/confg.yaml does not exist; did you mean 'config.yaml'?"),
        (
            "evaluate DIR/config.yaml",
            66,
            "DIR/config.yaml/spec.json does not exist; name a directory that rec-export wrote",
        ),
        (
            "export DIR/nowhere --out DIR/new",
            66,
            "DIR/nowhere does not exist; name a directory that rec-export wrote",
        ),
        (
            "export DIR/config.yaml --out DIR/new",
            66,
            "DIR/config.yaml/spec.json does not exist; name a directory that rec-export wrote",
        ),
        (
            "export DIR/nowhere --out DIR/config.yaml",
            73,
            "DIR/config.yaml already exists; name a new directory or remove it first",
        ),
        (
            "score DIR/nowhere --interactions DIR/log.parquet --out DIR/recs",
            66,
            "DIR/nowhere does not exist; make the bundle with `rec-export export CHECKPOINT --out DIR/nowhere`",
        ),
        (
            "score DIR/nowhere --interactions DIR/log.parquet --out DIR/log.parquet",
            73,
            "DIR/log.parquet is a file; name a directory for the recommendations",
        ),
        (
            "verify DIR/nowhere",
            66,
            "DIR/nowhere does not exist; make the bundle with `rec-export export CHECKPOINT --out DIR/nowhere`",
        ),
        ("run DIR/lg.parquet -o DIR/out", 66, "DIR/lg.parquet does not exist; did you mean 'log.parquet'?"),
        (
            "run DIR/log.parquet -o DIR",
            73,
            "DIR already exists; name a new directory or remove it first",
        ),
        ("run DIR/log.parquet -o DIR/out --model hibrid", 2, "unknown model 'hibrid'; did you mean 'hybrid'?"),
        ("run DIR/log.parquet -o DIR/out --device gpuu", 69, "there is no device 'gpuu'; use auto, cpu or cuda"),
        ("sample-data DIR/log.parquet", 73, "DIR/log.parquet already exists; name a new directory or remove it first"),
    ],
)
def test_a_path_or_device_that_cannot_be(arguments: str, code: int, sentence: str, place: Path) -> None:
    words = [word.replace("DIR", str(place)) for word in arguments.split()]
    assert refusal(place, *words) == error(code, sentence.replace("@", str(torch.cuda.device_count())))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("evaluate DIR/out", "DIR/out is no checkpoint; did you mean 'DIR/out/checkpoint'?"),
        ("export DIR/out --out DIR/new", "DIR/out is no checkpoint; did you mean 'DIR/out/checkpoint'?"),
        ("export DIR/out --out DIR/new --dry-run", "DIR/out is no checkpoint; did you mean 'DIR/out/checkpoint'?"),
        ("verify-run DIR/out", "nothing is published below DIR/out; did you mean 'DIR/out/recs'?"),
        ("diff DIR/out DIR/recs2", "nothing is published below DIR/out; did you mean 'DIR/out/recs'?"),
        ("rollback DIR/out --reason none", "nothing is published below DIR/out; did you mean 'DIR/out/recs'?"),
    ],
)
def test_the_step_that_was_meant_is_named_for_the_directory_of_run(arguments: str, sentence: str, place: Path) -> None:
    (place / "out" / "recs" / "run_date=2026-11-20").mkdir(parents=True)
    (place / "out" / "checkpoint").mkdir()
    (place / "out" / "checkpoint" / "spec.json").touch()
    words = [word.replace("DIR", str(place)) for word in arguments.split()]
    assert refusal(place, *words) == error(66, sentence)


@pytest.mark.parametrize(
    "arguments",
    ["run DIR/log.parquet -o URL", "train DIR/config.yaml --out URL", "report URL --out DIR/page.html", "inspect URL"],
)
def test_a_url_is_no_folder_named_s3(arguments: str, place: Path) -> None:
    url = "s3://bucket/shop"
    words = [word.replace("DIR", str(place)).replace("URL", url) for word in arguments.split()]
    assert refusal(place, *words) == error(
        2,
        f"{url} is not on this machine; copy here what is to be read, and name a folder here for what is made"
        " (docs/howto/s3.md)",
    )


def test_run_refuses_duplicate_items_before_it_writes_anything(place: Path) -> None:
    write_table(place / "items.parquet", **{**item_columns(), "item_id": ["i1"] * ITEMS})
    answer = refusal(place, "run", place / "log.parquet", "--items", place / "items.parquet", "-o", place / "out")
    assert answer == error(
        65,
        "1 ids stand more than once in column 'item_id' of DIR/items.parquet, the first being 'i1';"
        " keep one row of each",
    )
