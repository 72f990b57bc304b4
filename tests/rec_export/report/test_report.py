"""The page: what it shows of which directories, and that nothing in data becomes markup."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_jobs.gates import NAMES
from rec_export.report.drawing import figure
from rec_export.report.page import Cell, Table, plain, together
from rec_export.report.sections.nights import summary
from rec_export.report.sections.words import GATES
from rec_export.run_manifest import Verdict
from tests.conftest import contents, done
from tests.rec_export.report.conftest import EVIL, Page, range_test


@pytest.fixture(scope="session")
def whole(gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report of everything."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    before = contents(gallery)
    done("report", gallery, "--out", out)
    assert contents(gallery) == before
    return Page(out)


def test_every_section_is_there_where_every_directory_is(whole: Page) -> None:
    assert whole.of("section", "id") == [
        "quality", "data", "training", "rates", "search", "gate", "ablation", "predictions", "lists", "gates", "churn",
        "parity", "times", "words",
    ]  # fmt: skip
    assert whole.count("svg") == whole.count("figure") == 21


def test_every_figure_says_in_words_what_it_shows_and_ids_are_unique(whole: Page) -> None:
    alts = whole.of("svg", "aria-label")
    assert len(alts) == whole.count("svg")
    assert all(len(alt) > 20 for alt in alts)
    ids = [attrs["id"] for _, attrs in whole.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_nothing_is_fetched_and_only_our_script_may_run(whole: Page) -> None:
    links = [value for _, attrs in whole.tags for name, value in attrs.items() if name in ("src", "href", "xlink:href")]
    assert [link for link in links if not str(link).startswith(("#", "data:,"))] == []
    assert re.findall(r"url\((?!#)", whole.text) == []
    (policy,) = [attrs["content"] for _, attrs in whole.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")


def test_ids_and_titles_in_the_data_stay_text(whole: Page) -> None:
    assert whole.count("script") == 1
    assert [name for _, attrs in whole.tags for name in attrs if name.startswith("on")] == []
    assert EVIL not in whole.text
    assert "&lt;script&gt;alert(&#39;evil&#39;)&lt;/script&gt;" in whole.text


def test_colours_are_those_of_the_page(whole: Page) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", whole.text, re.DOTALL))
    assert set(re.findall(r"#[0-9a-fA-F]{6}\b", drawings)) <= {"#ffffff", "#000000"}
    assert {f"var(--s{n})" for n in range(4)} <= set(re.findall(r"var\(--\w+\)", drawings))


def test_headlines_say_what_one_sees(gallery: Path, tmp_path: Path) -> None:
    said = done("report", gallery, "--out", tmp_path / "r.html")
    assert "Predictions   The errors of hybrid on 500 held-out rows" in said
    assert "ndcg@10 minus that of the base: no-history -0.0200 [-0.0240, -0.0160]; 1 cannot be told" in said
    assert "The gate of hybrid tells users apart: mean shares long 0.60, trend 0.40" in said
    assert "As a predictor of values hybrid beats the biases of users and items by .0200 [.0100, .0300] rmse" in said


def test_the_file_of_the_held_out_rows_is_named(whole: Page, held_out: Path) -> None:
    assert f" held-out rows of {held_out}, " in whole.text


def test_a_range_test_that_tells_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "range").mkdir()
    range_test(None).write(tmp_path / "range" / "range.json")
    said = done("report", tmp_path / "range", "--out", tmp_path / "report.html")
    assert said.startswith("Learning rate No learning rate is suggested for ")
    assert "/range: the loss hardly falls." in said


def test_a_bundle_alone_has_its_proof_and_nothing_made_up(gallery: Path, tmp_path: Path) -> None:
    done("report", gallery / "bundle", "--out", tmp_path / "r.html")
    assert Page(tmp_path / "r.html").of("section", "id") == ["parity", "times"]


def test_a_directory_with_an_evil_name_is_text_too(gallery: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    shutil.copytree(gallery / "find-lr", folder / "find-lr")
    done("report", folder, "--out", tmp_path / "r.html")
    assert Page(tmp_path / "r.html").count("img") == 0


def test_lists_whose_items_have_evil_names_are_drawn_as_text(gallery: Path, tmp_path: Path) -> None:
    for day in ("2026-10-29", "2026-10-31"):
        folder = tmp_path / "recs" / f"run_date={day}"
        folder.mkdir(parents=True)
        items = [EVIL, "$\\frac{1}{0}$"] if day == "2026-10-31" else ["a", "b"]
        columns = {"user_id": ["u", "u"], "rank": pa.array([1, 2], pa.int16()), "item_id": items,
                   "score": pa.array([2.0, 1.0], pa.float32()), "source": ["model", "model"]}  # fmt: skip
        pq.write_table(pa.table(columns), folder / "part-00000-of-00001-0123456789ab.parquet")
    done("report", tmp_path / "recs", "--out", tmp_path / "r.html")
    page = Page(tmp_path / "r.html")
    assert page.count("script") == 1
    assert "$\\frac{1}{0}$" in page.text


def test_headlines_speak_of_every_model(gallery: Path, shop: Path, tmp_path: Path) -> None:
    other = "--set", "model={name: popular}"
    done("train", shop / "config.yaml", "--out", tmp_path / "other", *other)
    done("report", gallery / "checkpoint", tmp_path / "other", "--out", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    sections = dict(re.findall(r'<section id="(\w+)".*?<p[^>]*>(.*?)</p>', text, re.DOTALL))
    for key, said in (("training", "learned"), ("times", "took"), ("quality", "ndcg@10 of")):
        assert sections[key].count(said) == 2, sections[key]
    assert "trained popular does" not in text  # popularity is not remarked to be no better than itself
    assert together([*"abcdefgh"]) == "a b c d e f 2 more below."


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ({"structure": "passed"}, "x: the lists of 2026-10-31 keep every promise of the format"),
        ({"structure": "refused"}, "x: 0 of 1 gates passed on 2026-10-31 (structure refused)."),
        ({"structure": "passed", "covered": "passed"}, "x: 2 of 2 gates passed on 2026-10-31."),
        ({"structure": "passed", "users": "skipped", "items": "warned"}, "x: 1 of 2 gates passed on 2026-10-31 (items"),
    ],
)
def test_a_night_that_was_asked_nothing_else_or_broke_a_promise_is_not_called_passed(
    gates: dict[str, Any], said: str
) -> None:
    verdicts = tuple(Verdict(gate=name, verdict=told, value=0, limit="") for name, told in gates.items())
    assert summary("x", "2026-10-31", verdicts).startswith(said)


def test_every_gate_is_explained() -> None:
    assert set(GATES) == set(NAMES)


def test_the_words_that_are_explained_stand_on_the_page(whole: Page, gallery: Path, tmp_path: Path) -> None:
    done("report", gallery / "recs", "--out", tmp_path / "r.html")
    lists, rest = Page(tmp_path / "r.html").text, whole.text
    assert ["of the first held-out item" in text for text in (rest, lists)] == [True, False]  # mrr
    assert ["how alike two lists are" in text for text in (rest, lists)] == [True, True]
    assert "gate structure" in lists
    assert "gate own_items" not in lists  # `score` asks none but the structure


def test_the_column_that_tells_models_apart_goes_where_there_is_one() -> None:
    one = Table("", ("model", "x"), [(Cell("a"), Cell("1")), (Cell("a"), Cell("2"))])
    two = one._replace(rows=[(Cell("a"), Cell("1")), (Cell("b"), Cell("2"))])
    assert plain(one) == Table("", ("x",), [(Cell("1"),), (Cell("2"),)])
    assert plain(two) == two


def test_a_figure_escapes_its_alternative_text() -> None:
    drawn = figure(lambda axes: None, "c", '"><script>')
    assert 'aria-label="&quot;&gt;&lt;script&gt;"' in drawn.svg


@pytest.mark.parametrize(
    ("identical", "said"),
    [
        (1.0, ", and the same lists."),
        (0.875, "; of each format at least 87.50% of the lists are the same, the others but for ties."),
    ],
)
def test_the_headline_of_parity_counts_the_recommender_too(
    identical: float, said: str, exported: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(exported, tmp_path / "bundle"))
    path = bundle / "parity" / "report.json"
    told = json.loads(path.read_text())
    for one in told["lists"]:
        one["identical"] = 1
    whole = {"cases": 1000, "lists": 8, "items": 9, "ks": [5], "identical": identical, "worst_difference": 0.25}
    path.write_text(json.dumps({**told, "recommender": whole}))
    cases = 1000 + sum(part["cases"] for part in told["parts"])
    line = f"in {cases:,} cases, off by 2.5e-01 at most{said}\n"
    assert line in done("report", bundle, "--out", tmp_path / "r.html")
