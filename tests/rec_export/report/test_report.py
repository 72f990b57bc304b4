"""The page: what it shows of which directories, and that nothing in data becomes markup."""

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from matplotlib.axes import Axes

from batch_jobs.gates import NAMES
from rec_export.bundle import Manifest
from rec_export.metrics import Estimate
from rec_export.report.drawing import figure
from rec_export.report.page import Cell, Section, Table, page, plain, together
from rec_export.report.sections.nights import summary
from rec_export.report.sections.quality import headline
from rec_export.report.sections.words import GATES
from rec_export.report.views import Evaluation
from rec_export.run_manifest import Verdict
from rec_export.sealed import MANIFEST, listed, write_manifest
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


@pytest.mark.parametrize(
    ("constant", "biases", "said"),
    [(1.1, 1.0, "beats the biases of users and items by .1000"), (1.0, 1.1, "beats the mean of all values by .1000")],
)
def test_predictions_are_held_against_the_better_of_the_simple_ones(
    constant: float, biases: float, said: str, gallery: Path
) -> None:
    one = Evaluation.read(gallery / "evaluation" / "evaluation.json")
    assert one.ratings is not None
    errors = {"model": 0.9, "constant": constant, "biases": biases}
    metrics = {name: {"rmse": Estimate(mean=error, low=error, high=error)} for name, error in errors.items()}
    gaps = {
        name: {"rmse": Estimate(mean=0.9 - error, low=0.9 - error - 0.01, high=0.9 - error + 0.01)}
        for name, error in errors.items()
        if name != "model"
    }
    rated = one.ratings.segments["all"].model_copy(update={"metrics": metrics, "paired": gaps})
    ratings = one.ratings.model_copy(update={"segments": {"all": rated}})
    assert said in headline("pmf", one.model_copy(update={"ratings": ratings}), "ndcg@10")


def test_logs_that_are_alike_are_told_once_of_all_models_that_learned_from_them(gallery: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(gallery / "checkpoint", tmp_path / name)
    done("report", tmp_path, "--out", tmp_path / "r.html")
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", Page(tmp_path / "r.html").text)
    assert f"hybrid, {tmp_path / 'one'} and hybrid, {tmp_path / 'two'}" in cells


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
    assert plain(one) == Table("", ("x",), [(Cell("1"),), (Cell("2"),)])
    section = Section("s", "S", "headline", [one])
    alone, among = (page("t", [], [], [section], "now", several=several) for several in (False, True))
    assert ["model</button>" in alone, "model</button>" in among] == [False, True]


def test_words_in_a_figure_stay_what_they_are() -> None:
    """Whatever of the drawing's own language they hold."""
    name = 'x #010203 id="q url(#w <!-- -->'

    def draw(axes: Axes) -> None:
        axes.set(xlabel=name)

    drawn = figure(draw, "c", "a")
    assert unescape(drawn.svg).count(name) == 1


def test_a_bundle_that_was_changed_is_not_vouched_for(exported: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(exported, tmp_path / "bundle"))
    with (bundle / "onnx" / "user_tower.onnx").open("ab") as file:
        file.write(b"x")
    done("report", bundle, "--out", tmp_path / "r.html")
    text = Page(tmp_path / "r.html").text
    assert "The files are not those that were proved." in text
    assert "onnx/user_tower.onnx" in text
    assert "gave the trained model" not in text


def test_evaluations_by_other_rows_are_not_compared(gallery: Path, held_out: Path, tmp_path: Path) -> None:
    """Though as many users and rows are judged in both."""
    rows = pq.read_table(held_out)
    liked = rows.filter(pc.greater_equal(rows["rating"], 4)) if "rating" in rows.column_names else rows
    users, items = (pc.unique(liked[name]).to_pylist() for name in ("user_id", "item_id"))
    for name, shift in (("held_out", 0), ("other", 1)):  # each user likes one item, and in the other file the next one
        chosen = [items[(place + shift) % len(items)] for place in range(len(users))]
        likings = liked.slice(0, len(users))
        for column, values in (("user_id", users), ("item_id", chosen)):
            likings = likings.set_column(likings.schema.get_field_index(column), column, pa.array(values))
        pq.write_table(likings, tmp_path / f"{name}.parquet")
    kept = []
    for name, test in (("a", "held_out"), ("b", "other"), ("again", "held_out")):
        words = "--test", tmp_path / f"{test}.parquet", "--bootstrap", 100, "--seen", "keep"
        done("evaluate", gallery / "checkpoint", *words, "--out", tmp_path / name)
        kept.append(json.loads((tmp_path / name / "evaluation.json").read_text()))
    assert len({one["test_rows"] for one in kept}) == 1
    assert kept[0]["targets"] == kept[2]["targets"] != kept[1]["targets"]
    for other, said in (("b", True), ("again", False)):
        done("report", tmp_path / "a", tmp_path / other, "--out", tmp_path / f"{other}.html")
        page = Page(tmp_path / f"{other}.html")
        assert ("judged on different rows: do not compare" in page.text) == said
        assert page.text.count("with 95% intervals") // 2 == 1 + said  # a figure for each test


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
    manifest = Manifest.read(bundle / MANIFEST)
    write_manifest(bundle, manifest.model_copy(update={"files": listed(bundle)}))
    cases = 1000 + sum(part["cases"] for part in told["parts"])
    line = f"in {cases:,} cases, off by 2.5e-01 at most{said}\n"
    assert line in done("report", bundle, "--out", tmp_path / "r.html")
