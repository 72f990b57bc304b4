"""Rules as they are written down: short forms, paths, and what makes two sections the same."""

import math
import re
from pathlib import Path

import pytest

from rec_export.config import Config
from rec_export.errors import UsageError
from rec_export.rules import Diversity, Rules
from tests.conftest import config_file


def rules(**given: object) -> Rules:
    """A section `rules`."""
    return Rules.of(given, "here")


def test_a_value_stands_for_a_list_of_it_and_a_list_for_its_ids() -> None:
    short = rules(exclude={"explicit": True, "status": None}, deny=[7, "b"])
    whole = rules(exclude={"explicit": [True], "status": [None]}, deny={"ids": ["7", "b"]})
    assert short == whole


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"deny": 22423}, "deny is 22423, but should be a list, such as [22423], or {path: FILE}"),
        ({"minimum": {"stock": math.nan}}, "should be a finite number for 'stock'"),
        ({"minimum": {"stock": math.inf}}, "should be a finite number for 'stock'"),
        ({"popularity_penalty": math.inf}, "popularity_penalty is Infinity, but should be a finite number"),
        ({"popularity_penalty": 1e38}, "popularity_penalty is 1e+38, but should be less than or equal to 1000000000"),
    ],
)
def test_a_slip_in_a_rule_is_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        rules(**given)


@pytest.mark.parametrize("text", ["deny: [a]\n", "deny: [a]\ncaps: {brand: 1}\n"])
def test_rules_without_their_section_are_told_where_they_belong(text: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="should stand in a section: put `rules:` above, and indent them"):
        Config.rules_of(tmp_path / "rules.yaml")


def test_an_empty_file_of_rules_is_told_what_goes_into_it(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("# none yet\n", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no keys; write rules in a section 'rules', or leave --rules out"):
        Config.rules_of(tmp_path / "rules.yaml")


def test_nothing_is_in_force_by_default() -> None:
    assert (Rules().declared(), Rules().files(), Rules().columns()) == ({}, {}, [])


def test_what_is_declared_does_not_depend_on_where_files_lie() -> None:
    one, other = (rules(deny={"path": path, "item": "sku"}, caps={"a": 1}) for path in ("x.csv", "y/x.csv"))
    assert one.declared() == other.declared() == {"deny": {"item": "sku", "ids": None}, "caps": {"a": 1}}
    assert one.files() == {"rules.deny": Path("x.csv")}


def test_diversity_has_defaults() -> None:
    assert rules(diversity={}).diversity == Diversity(relevance=0.7, fetch=5)
    assert rules(diversity={}).declared() == {"diversity": {"relevance": 0.7, "fetch": 5}}


def test_every_column_is_read_once() -> None:
    assert rules(exclude={"a": 1, "b": 2}, minimum={"b": 1}, caps={"c": 1, "a": 2}).columns() == ["a", "b", "c"]


def test_paths_are_those_of_the_configuration(tmp_path: Path) -> None:
    listed = {"allow": {"path": "a.csv"}, "deny_by_user": {"path": "/b.csv"}, "deny": ["x"]}
    config = config_file(tmp_path, data={"interactions": {"path": "log.csv"}}, rules=listed)
    assert Config.load(config).rules.files() == {
        "rules.allow": tmp_path / "a.csv",
        "rules.deny_by_user": Path("/b.csv"),
    }


def test_rules_come_back_from_the_configuration_that_is_kept(tmp_path: Path) -> None:
    given = {"deny": [1], "exclude": {"a": [None, True, 1.5, "x"]}, "diversity": {"fetch": 9}, "caps": {"brand": 2}}
    config = Config.load(config_file(tmp_path, data={"interactions": {"path": "log.csv"}}, rules=given))
    (tmp_path / "kept.yaml").write_text(config.dump(), encoding="utf-8")
    assert Config.load(tmp_path / "kept.yaml").rules == config.rules


@pytest.mark.parametrize("both", [{}, {"path": "a.csv", "ids": ["x"]}])
def test_a_list_is_a_file_or_ids(both: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"deny is .* but should be a list of ids, or 'path'"):
        rules(deny=both)


def test_a_cap_that_no_list_could_reach_is_a_slip() -> None:
    assert rules(caps={"brand": 1_000_000}).caps == {"brand": 1_000_000}
    with pytest.raises(UsageError, match="at most 1,000,000 for 'brand'; leave the column out for no cap"):
        rules(caps={"brand": 10**20})
