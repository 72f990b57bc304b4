"""Several seeds become one model, whose score is the mean of theirs."""

from pathlib import Path

import pytest
import torch
from torch import nn

from rec_export.checkpoint import Checkpoint
from rec_export.config import Config
from rec_export.data.config import DataConfig, Interactions
from rec_export.ensemble import SideBySide
from rec_export.models import spec_of
from rec_export.towers import Inputs, Towers
from tests.conftest import LAST_DAY, command, done, read_lists
from trainers.parallel import ALONE
from trainers.ready import read_source, ready

CHANGES = (
    "model={name: hybrid, dim: 4}",
    "training.epochs=1",
    "training.timeless=0",
    "training.shallow=false",
    "data.split.by=none",
)


def trained(shop: Path, out: Path, *changes: str) -> Path:
    """A checkpoint."""
    done("train", shop / "config.yaml", "--out", out, *(w for c in (*CHANGES, *changes) for w in ("--set", c)))
    return out


@pytest.fixture(scope="module")
def three(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of three seeds that were trained alike."""
    return trained(shop, tmp_path_factory.mktemp("three") / "checkpoint", "training.seeds=3", "training.refit=false")


def members_of(tower: nn.Module) -> list[nn.Module]:
    """The towers that stand side by side in one."""
    assert isinstance(tower, SideBySide)
    return list(tower.members)


def scores(towers: Towers, checkpoint: Checkpoint) -> torch.Tensor:
    """Of made-up users and all items, float32 [5, N]."""
    spec, sizes = checkpoint.blueprint.spec(), checkpoint.blueprint.sizes
    made = torch.Generator().manual_seed(1)
    axes = {"B": 5, "N": sizes.items.rows, "L": 3, "T": 2}

    def inputs(ports: tuple[object, ...]) -> Inputs:
        zeros = {port.name: port.zeros(axes) for port in ports}  # type: ignore[attr-defined]
        return {name: torch.randint(0, 3, value.shape, generator=made).to(value.dtype) for name, value in zeros.items()}

    with torch.no_grad():
        user_vec = towers.user_tower(inputs(spec.user_inputs(sizes)))
        return towers.pair_head(user_vec, towers.item_tower(inputs(spec.item_inputs(sizes))))


def test_the_score_is_the_mean_of_the_members_scores(three: Path) -> None:
    checkpoint = Checkpoint.read(three)
    whole = checkpoint.towers
    members = zip(members_of(whole.user_tower), members_of(whole.item_tower), strict=True)
    each = [scores(Towers(user, item, whole.pair_head), checkpoint) for user, item in members]
    assert len(each) == 3
    assert not torch.equal(each[0], each[1])
    torch.testing.assert_close(scores(whole, checkpoint), torch.stack(each).mean(0))


def test_each_member_is_what_its_seed_alone_gives(three: Path, shop: Path, tmp_path: Path) -> None:
    alone = Checkpoint.read(trained(shop, tmp_path / "alone", "training.refit=false")).towers
    first = members_of(Checkpoint.read(three).towers.user_tower)[0]
    for name, weight in alone.user_tower.state_dict().items():
        torch.testing.assert_close(first.state_dict()[name], weight, rtol=0, atol=0)


@pytest.mark.long
def test_several_seeds_export_and_score_as_one(three: Path, shop: Path, tmp_path: Path) -> None:
    done("export", three, "--out", tmp_path / "bundle")
    log = shop / "interactions.parquet"
    words = "--interactions", log, "--out", tmp_path / "recs", "--k", 5, "--run-date", LAST_DAY
    done("score", tmp_path / "bundle", *words)
    assert read_lists(tmp_path / "recs")["rank"].to_pylist()[:5] == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_all_seeds_learn_from_all_rows_in_a_refit(shop: Path, tmp_path: Path) -> None:
    history = (trained(shop, tmp_path / "two", "training.seeds=2") / "history.jsonl").read_text().splitlines()
    assert [line.split('"')[3] for line in history] == ["search", "refit", "refit 2"]


def test_a_head_with_an_mlp_is_refused_before_training(shop: Path, tmp_path: Path) -> None:
    changes = "model={name: hybrid, hidden: [4]}", "training.seeds=2"
    words = [word for change in changes for word in ("--set", change)]
    code, _, err = command("-q", "train", shop / "config.yaml", "--out", tmp_path / "checkpoint", *words)
    assert (code, "the model's head is no dot product" in err, list(tmp_path.iterdir())) == (2, True, [])


def test_with_an_mlp_one_seed_is_the_default_where_several_would_be(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item\n" + "".join(f"u{n % 40},i{n * 7 % 31}\n" for n in range(600)))
    data = DataConfig(interactions=Interactions(path=log, user="user", item="item"))
    seeds = {}
    for hidden in ((), (4,)):
        config = Config(data=data, model={"name": "hybrid", "hidden": hidden})
        spec = spec_of(config.model, "the test")
        seeds[hidden] = ready(config, spec, read_source(config, spec), ALONE).plan.seeds
    assert seeds == {(): 3, (4,): 1}
