"""What the page says of an ablation."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rec_export.report.sections.parts import headline
from rec_export.report.views import Ablation
from tests.conftest import done


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ({"a": (0.0, 0.0, 0.0)}, ": a +0.0000 [+0.0000, +0.0000], which cannot be told from it, or not in each seed."),
        ({"a": (0.0, -0.1, 0.1), "b": (0.1, -0.1, 0.3)}, ": 2 variants, none of which can be told from it, or not in"),
        ({"a": (0.0, -0.1, 0.1), "b": (0.2, 0.1, 0.3)}, ": b +0.2000 [+0.1000, +0.3000]; 1 cannot be told from it, or"),
        ({"a": (0.3, 0.1, 0.4), "b": (-0.2, -0.3, -0.1)}, ": b -0.2000 [-0.3000, -0.1000] and a +0.3000 [+0.1000,"),
    ],
)
def test_the_headline_of_an_ablation_names_what_differs(gaps: dict[str, tuple[float, float, float]], said: str) -> None:
    base = {"seeds": {"1": {"ndcg@10": 0.1}}, "epochs": {"1": 1}, "metrics": {"ndcg@10": told(0.1, 0.1, 0.1)}}
    variants: dict[str, Any] = {"base": {**base, "changes": (), "difference": None}}
    for name, gap in gaps.items():
        seeds = {"1": {"ndcg@10": 0.1 + gap[0]}}
        variants[name] = {**base, "seeds": seeds, "changes": ("x=1",), "difference": {"ndcg@10": told(*gap)}}
    one = Ablation.model_validate({"users": 9, "k": 10, "variants": variants})
    assert headline(one).startswith(f"ndcg@10 minus that of the base{said}")


def test_the_headline_leaves_out_a_variant_of_which_seeds_disagree() -> None:
    def variant(each: tuple[float, float], gap: dict[str, float] | None) -> dict[str, Any]:
        seeds = {str(seed): {"ndcg@10": value} for seed, value in enumerate(each)}
        gaps = None if gap is None else {"ndcg@10": gap}
        return {"seeds": seeds, "epochs": {}, "metrics": {}, "changes": (), "difference": gaps}

    gap = told(0.02, 0.01, 0.03)  # as pages of before had it, over users alone
    variants = {"base": variant((0.1, 0.1), None), "b": variant((0.09, 0.15), gap), "c": variant((0.11, 0.13), gap)}
    one = Ablation.model_validate({"users": 9, "k": 10, "variants": variants})
    assert headline(one).endswith(": c +0.0200 [+0.0100, +0.0300]; 1 cannot be told from it, or not in each seed.")


def told(mean: float, low: float, high: float) -> dict[str, float]:
    """An estimate as it is written."""
    return {"mean": mean, "low": low, "high": high}


@pytest.mark.parametrize(("second", "said"), [(0.08, "worse"), (0.12, "not in each seed")])
def test_a_variant_of_which_seeds_disagree_is_called_neither_better_nor_worse(
    second: float, said: str, gallery: Path, tmp_path: Path
) -> None:
    told = json.loads((gallery / "ablation" / "ablation.json").read_text())
    told["variants"]["no-history"]["seeds"]["43"]["ndcg@10"] = second
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation" / "ablation.json").write_text(json.dumps(told))
    done("report", tmp_path / "ablation", "--out", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    cells = [cell for row in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL) if "no-history" in row
             for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]  # fmt: skip
    assert re.sub(r"<[^>]*>", "", cells[-1]).strip() == said
