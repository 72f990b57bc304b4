"""Variants are trained alike and judged on the same users; what was done is not done again."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from rec_export.errors import UsageError
from rec_export.metrics import Estimate
from tests.conftest import LAST_DAY, command, contents, done
from trainers.ablate import Ablation, Compared, Variant
from trainers.tables import ablation_lines


def words(shop: Path, out: Path, *more: object) -> list[object]:
    """A tiny gated model with and without its gate, two seeds."""
    changes = "model={name: gated, dim: 8}", "training.epochs=1", "training.refit=false", "data.split.by=time"
    sets = [word for change in changes for word in ("--set", change)]
    return ["ablate", shop / "config.yaml", "--out", out, *sets, "--seeds", 2, "--bootstrap", 100, *more]


@pytest.fixture(scope="module")
def ablated(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `ablate` left behind."""
    out = tmp_path_factory.mktemp("ablated") / "out"
    done(*words(shop, out, "--variant", "no-gate:model.gate=false", "--variant", "same:model.gate=true"))
    return out


def test_a_variant_that_changes_nothing_differs_in_nothing(ablated: Path) -> None:
    said = json.loads((ablated / "ablation.json").read_text())["variants"]
    assert said["same"]["seeds"] == said["base"]["seeds"]
    nothing = {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert all(gap == nothing for gap in said["same"]["difference"].values())


def test_seeds_differ_and_are_the_same_for_all_variants(ablated: Path) -> None:
    names = {path.name: sorted(seed.name for seed in path.iterdir()) for path in ablated.iterdir() if path.is_dir()}
    assert names == {name: ["seed-42", "seed-45"] for name in ("base", "no-gate", "same")}
    weights = [(ablated / "base" / seed / "weights.safetensors").read_bytes() for seed in ("seed-42", "seed-45")]
    assert weights[0] != weights[1]


def test_the_mean_over_seeds_is_told(ablated: Path) -> None:
    said = json.loads((ablated / "ablation.json").read_text())["variants"]["no-gate"]
    assert list(said["seeds"]) == list(said["epochs"]) == ["42", "45"]
    mean = sum(metrics["ndcg@10"] for metrics in said["seeds"].values()) / 2
    assert said["metrics"]["ndcg@10"]["mean"] == pytest.approx(mean, abs=2e-5)


def test_what_was_trained_is_not_trained_again(ablated: Path, shop: Path) -> None:
    before = contents(ablated)
    variants = "--variant", "no-gate:model.gate=false", "--variant", "same:model.gate=true"
    lines = done(*words(shop, ablated, *variants)).splitlines()
    assert contents(ablated) == before
    assert [line.split()[0] for line in lines[2:5]] == ["base", "no-gate", "same"]


def test_without_rows_to_judge_by_nothing_is_trained(shop: Path, tmp_path: Path) -> None:
    for split in ("{by: none}", "{by: time, test: 0}", "{by: last, test: 0}"):
        code, _, err = command("-q", *words(shop, tmp_path / "out", "--set", f"data.split={split}"))
        assert (code, "nothing is held out to judge by" in err, list(tmp_path.iterdir())) == (2, True, [])


def test_the_device_of_the_configuration_is_that_of_trainings(shop: Path, tmp_path: Path) -> None:
    code, _, err = command("-q", *words(shop, tmp_path / "out", "--set", "training.device=abacus"))
    assert (code, "'abacus'" in err, list(tmp_path.iterdir())) == (69, True, []), err
    done(*words(shop, tmp_path / "out", "--set", "model={name: popular}", "--set", "training.device=cpu"))
    trial = tmp_path / "out" / "base" / "seed-42" / "config.yaml"
    assert yaml.safe_load(trial.read_text())["training"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("data.split.test=0.3", "would be judged on other rows than the base"),
        ("data.interactions.positive=5", "would be judged on other rows than the base"),
        ("model={name: pmf}:training.loss=mse:data.split.by=random", "would be judged on other rows than the base"),
        ("training.seed=45", "sets training.seed, which --seeds gives to all alike"),
    ],
)
def test_a_variant_that_cannot_be_paired_is_refused_before_anything_is_trained(
    changes: str, said: str, shop: Path, tmp_path: Path
) -> None:
    code, _, err = command("-q", *words(shop, tmp_path / "out", "--variant", f"other:{changes}"))
    assert (code, f"the variant 'other' {said}" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_variant_whose_loss_holds_out_other_rows_is_refused(shop: Path, tmp_path: Path) -> None:
    """To one that predicts values a user's last row is the last of all, not the last that was liked."""
    variant = "--variant", "rated:model={name: pmf}:training.loss=mse"
    code, _, err = command("-q", *words(shop, tmp_path / "out", "--set", "data.split.by=last", *variant))
    assert (code, "the variant 'rated' would be judged on other rows than the base" in err) == (2, True)


def test_a_variant_that_learns_from_other_rows_but_is_judged_on_the_same_is_paired(shop: Path, tmp_path: Path) -> None:
    variants = "core:data.minimum.per_item=20", "valid:data.split.valid=0.2"
    done(*words(shop, tmp_path / "out", *(word for one in variants for word in ("--variant", one))))
    assert len(json.loads((tmp_path / "out" / "ablation.json").read_text())["variants"]) == 3


def test_a_checkpoint_of_another_configuration_is_not_taken_for_this_one(ablated: Path, shop: Path) -> None:
    code, _, err = command("-q", *words(shop, ablated, "--variant", "no-gate:model.gate=true"))
    assert (code, "was trained with another configuration" in err) == (2, True)


@pytest.mark.parametrize(
    "text", ["no-gate", "a b:model.dim=3", "base:model.dim=3", "x:model.dim", ":model.dim=3", "../x:a=1"]
)
def test_a_slip_in_a_variant_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"but should be like no-gate:model.gate=false"):
        Variant.parsed(text)


def test_trials_of_several_models_share_none_of_them(shop: Path, tmp_path: Path) -> None:
    more = "--set", "model={name: popular}", "--set", "training.seeds=3", "--variant", "same:training.epochs=1"
    done(*words(shop, tmp_path / "out", *more))
    assert sorted(path.name for path in (tmp_path / "out" / "base").iterdir()) == ["seed-42", "seed-45"]


def test_one_command_judges_several_seeds_beside_the_lists_of_another_system(shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    best = log.item_id.value_counts().index[:10]
    lists = pd.MultiIndex.from_product([log.user_id.unique()[5:], best], names=["user_id", "item_id"]).to_frame(
        index=False
    )
    lists["rank"] = lists.groupby("user_id").cumcount() + 1
    lists.to_parquet(tmp_path / "peer.parquet")
    changes = "model={name: popular}", "training.epochs=1", "training.refit=false", "data.split.by=time"
    sets = [word for change in changes for word in ("--set", change)]
    words = ["ablate", shop / "config.yaml", "--out", tmp_path / "out", *sets, "--seeds", 2, "--bootstrap", 100]
    answer = command(*words, "--against", tmp_path / "peer.parquet")
    lines = answer.out.splitlines()
    assert answer.err.count("judged users have no list") == 1  # as many seeds as there are
    whole = json.loads((tmp_path / "out" / "ablation.json").read_text())
    said, peer = whole["variants"]["base"], whole["peer"]["ndcg@10"]["mean"]
    assert said["metrics"]["ndcg@10"]["mean"] - peer == pytest.approx(said["against"]["ndcg@10"]["mean"], abs=2e-5)
    assert done("report", tmp_path / "out", "--out", tmp_path / "page.html").startswith("Ablation      Over 2 seeds ")
    each = [metrics["ndcg@10"] for metrics in said["seeds"].values()]
    assert len(each) == 2
    gap = said["against"]["ndcg@10"]
    assert gap["low"] < gap["mean"] < gap["high"]
    assert lines[3].split()[0::5] == ["against", str(tmp_path / "peer.parquet")]
    assert lines[4:6] == ["", "ndcg@10 in each seed: 42, 43"]
    assert lines[6].split() == ["base", *(f"{value:.4f}".removeprefix("0") for value in each)]
    assert lines[8] == f"ndcg@10 minus that of {tmp_path / 'peer.parquet'}, paired by user"
    assert lines[9].split()[:2] == ["base", f"{gap['mean']:+.4f}"]


def test_a_checkpoint_is_no_list(trained: Path, shop: Path, tmp_path: Path) -> None:
    code, _, err = command("-q", *words(shop, tmp_path / "out", "--against", trained))
    assert (code, "compare checkpoints by `rec-export evaluate --against`" in err) == (2, True)
    assert command("-q", *words(shop, tmp_path / "out", "--against", tmp_path / "none.parquet")).code == 66
    assert not (tmp_path / "out").exists()


def test_a_value_may_hold_a_colon() -> None:
    variant = Variant.parsed("a:model={name: pmf}:training.lr=0.1")
    assert variant.changes == ("model={name: pmf}", "training.lr=0.1")


def test_lists_that_knew_the_held_out_rows_are_refused_before_anything_is_trained(
    exported: Path, shop: Path, tmp_path: Path
) -> None:
    log = "--interactions", shop / "interactions.parquet"
    done("score", exported, *log, "--out", tmp_path / "recs", "--run-date", LAST_DAY)
    code, _, err = command("-q", *words(shop, tmp_path / "out", "--against", tmp_path / "recs"))
    assert (code, "which holds the held-out rows" in err) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("low", "each", "said"),
    [
        (-0.01, (0.01, 0.03), "alike in each seed: more --seeds may tell"),
        (-0.01, (-0.01, 0.05), None),
        (0.01, (0.01, 0.03), None),
        (0.01, (-0.01, 0.05), "but not in each seed, so it may be the seeds"),
    ],
)
def test_what_seeds_say_beside_the_interval_is_told(low: float, each: tuple[float, float], said: str | None) -> None:
    def variant(values: tuple[float, float], gap: Estimate | None) -> Compared:
        metrics = dict.fromkeys(("hr@10", "ndcg@10"), Estimate(mean=0.1, low=0.1, high=0.1))
        seeds = {str(seed): {"ndcg@10": value} for seed, value in enumerate(values)}
        return Compared(changes=(), seeds=seeds, epochs={}, metrics=metrics, difference=gap and {"ndcg@10": gap})

    variants = {"base": variant((0.0, 0.0), None), "other": variant(each, Estimate(mean=0.02, low=low, high=0.05))}
    line = list(ablation_lines(Ablation(users=9, k=10, variants=variants)))[3]
    notes = "alike in each seed: more --seeds may tell", "but not in each seed, so it may be the seeds"
    assert [note for note in notes if note in line] == ([] if said is None else [said])
