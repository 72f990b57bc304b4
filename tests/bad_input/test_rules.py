"""Rules that make no sense are refused in one line, before anything is scored."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.bad_input.conftest import error, score
from tests.conftest import Refusal, command, config_file, write_table

DATA = {"interactions": {"path": "interactions.parquet"}}


@pytest.fixture
def folder(shop: Path, tmp_path: Path) -> Path:
    """Today's items, and lists that are wrong."""
    pd.read_parquet(shop / "items.parquet").to_parquet(tmp_path / "items.parquet")
    write_table(tmp_path / "strange.parquet", user_id=list("abcdefghij"), item_id=list("qrstuvwxyz"))
    (tmp_path / "empty.csv").write_text("user_id,item_id\n")
    return tmp_path


def ruled(folder: Path, exported: Path, shop: Path, rules: dict[str, Any], *more: object) -> Refusal:
    """Try to score under rules."""
    config = config_file(folder, data=DATA, rules=rules)
    return score(exported, shop / "interactions.parquet", folder, "--rules", config, *more)


@pytest.mark.parametrize(
    ("rules", "code", "sentence"),
    [
        ({}, 2, "DIR/config.yaml has no rules; write them in a section 'rules', or leave --rules out"),
        ({"cap": {"brand": 2}}, 2, "DIR/config.yaml: unknown key 'rules.cap'; did you mean 'caps'?"),
        ({"allow": []}, 2,
         "DIR/config.yaml: rules.allow is [], but should be one id at least; leave the key out to allow everything"),
        ({"deny": [1.5]}, 2,
         "DIR/config.yaml: rules.deny.ids is [1.5], but should be ids that are text or whole numbers; put words such"
         " as no and on into quotes"),
        ({"caps": {"brand": 0}}, 2,
         'DIR/config.yaml: rules.caps is {"brand": 0}, but should be at least 1 for \'brand\'; to leave items out'
         " altogether use 'exclude'"),
        ({"diversity": {"lambda": 0.5}}, 2,
         "DIR/config.yaml: unknown key 'rules.diversity.lambda'; known: fetch, relevance"),
        ({"caps": {"brnad": 2}}, 2, "no column 'brnad' in DIR/items.parquet; did you mean 'brand'?"),
        ({"caps": {"tags": 2}}, 2,
         "rules.caps.tags needs one value for each item, but 'tags' holds several (tags); write the one that counts"
         " into a column of its own"),
        ({"exclude": {"tags": "gift"}}, 2,
         "rules.exclude.tags needs one value for each item, but 'tags' holds several (list<element: string>); write"
         " the one that counts into a column of its own"),
        ({"exclude": {"item_id": "x"}}, 2,
         "the rules read 'item_id' as an attribute, but it is the id; name items in rules.deny or .allow"),
        ({"exclude": {"price": "dear"}}, 2,
         "rules.exclude.price has 'dear', but the column holds double; give values of that kind"),
        ({"minimum": {"brand": 1}}, 65,
         "120 of 120 values of rules.minimum.brand are no numbers, the first being"),
        ({"minimum": {"price": 1e9}}, 65,
         "the rules leave none of tonight's 120 items (minimum.price takes 120); look at them, and at their files"),
        ({"deny": [f"x{place}" for place in range(10)]}, 65,
         "none of the 10 items in rules.deny is in the bundle or today's files, the first being 'x0'; check that the"
         " ids are of the same kind, or take the rule out"),
        ({"allow": {"path": "empty.csv"}}, 65,
         "DIR/empty.csv (rules.allow) has no rows, so nothing could be recommended; take the rule out to allow"
         " everything"),
        ({"deny_by_user": {"path": "strange.parquet"}}, 65,
         "none of the 10 users in DIR/strange.parquet (rules.deny_by_user) is in the bundle or today's files, the first"
         " being 'a'; check that the ids are of the same kind, or take the rule out"),
        ({"deny_by_user": {"path": "strange.parquet", "user": "item_id"}}, 2,
         "rules.deny_by_user reads users and items from one column, 'item_id'; name two"),
        ({"deny": {"path": "strange.parquet", "item": "sku"}}, 2,
         "no column 'sku' in DIR/strange.parquet; known: item_id, user_id"),
        ({"deny": {"path": "strang.parquet"}}, 66,
         "DIR/strang.parquet does not exist; did you mean 'strange.parquet'?"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense(
    rules: dict[str, Any], code: int, sentence: str, folder: Path, exported: Path, shop: Path
) -> None:
    got = ruled(folder, exported, shop, rules, "--items", folder / "items.parquet")
    if sentence.endswith("being"):  # the rest is the shop's
        got = got._replace(err=got.err[: len(f"Error: {sentence}")] + "\n")
    assert got == error(code, sentence)


def test_a_rule_on_a_column_without_a_table_of_items(folder: Path, exported: Path, shop: Path) -> None:
    assert ruled(folder, exported, shop, {"caps": {"brand": 2}}) == error(
        2,
        "the rules read column 'brand' of today's items, but there is no table of items; name one with --items, or in"
        " data.items",
    )


def test_rows_without_an_id_are_refused(folder: Path, exported: Path, shop: Path) -> None:
    write_table(folder / "gone.parquet", item_id=["a", None, None])
    config = config_file(folder, data=DATA, rules={"deny": {"path": "gone.parquet"}})
    words = "--interactions", shop / "interactions.parquet", "--out", folder / "recs", "--rules", config
    code, _, err = command("-q", "score", exported, *words)
    assert (code, "2 of 3 rows of" in err, "have no 'item_id'; mend the list" in err) == (65, True, True)


def test_lists_without_rows_and_of_mostly_strange_ids_are_lists(folder: Path, exported: Path, shop: Path) -> None:
    known = pd.read_parquet(shop / "items.parquet").item_id[0]
    rules = {"deny": [known, "x", "y"], "deny_by_user": {"path": "empty.csv"}, "allow_by_user": {"path": "empty.csv"}}
    config = config_file(folder, data=DATA, rules=rules)
    words = "--interactions", shop / "interactions.parquet", "--out", folder / "recs", "--rules", config
    code, out, err = command("-q", "score", exported, *words)
    assert code == 0, err
    assert (
        "2 of the 3 items in rules.deny are in neither the bundle nor today's files, the first being 'x'; check" in err
    )
    assert "rules: deny leaves out 1 of 120 items, deny_by_user 0 pairs, allow_by_user binds 0 users, ids that" in out
