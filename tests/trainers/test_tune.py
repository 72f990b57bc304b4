"""The search begins with the configuration as it is, never ends below it, and goes on where it was stopped."""

import json
from pathlib import Path

import optuna
import pytest
import yaml

from rec_export.errors import UsageError
from rec_export.files import locked
from tests.conftest import command, done
from trainers.space import Choice, check, usual
from trainers.tune import states_of


def words(shop: Path, out: Path, trials: int, *more: object) -> list[object]:
    """A search for the rate and the width of a small model."""
    sets = "--set", "model={name: pmf, dim: 2}", "--set", "training.epochs=2", "--set", "training.lr=0.00001"
    search = "--search", "training.lr=0.001..0.1", "--search", "model.dim=2,4"
    return ["tune", shop / "config.yaml", "--out", out, "--trials", trials, *sets, *search, "--json", *more]


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("als", {"model.factors", "model.regularization", "model.alpha"}),
        ("bpr", {"training.lr", "model.regularization", "model.dim"}),
        ("pmf", {"training.lr", "training.embedding_decay"}),
        ("ncf", {"training.lr", "training.embedding_decay", "model.dropout"}),
    ],
)
def test_what_is_searched_unasked_is_what_the_model_heeds(model: str, keys: set[str], shop: Path) -> None:
    changes = (f"model={{name: {model}}}",)
    found = usual(shop / "config.yaml", changes)
    assert {choice.key for choice in found} == keys
    for choice in found:
        check(choice, found, shop / "config.yaml", changes)


def test_a_model_that_learns_nothing_is_not_searched(shop: Path, tmp_path: Path) -> None:
    words = "tune", shop / "config.yaml", "--out", tmp_path / "tuned", "--set", "model={name: popular}"
    code, _, err = command("-q", *words)
    assert (code, err) == (2, "Error: the model popular has nothing that a search would change; name another\n")


@pytest.mark.slow
def test_the_best_settings_are_written_and_the_search_goes_on(shop: Path, tmp_path: Path) -> None:
    first = json.loads(done(*words(shop, tmp_path / "tuned", 2)))
    assert first["trials"] == 2
    assert first["best"] >= first["first"]
    more = json.loads(done(*words(shop, tmp_path / "tuned", 5)))
    assert (more["trials"], more["first"]) == (5, first["first"])
    search = json.loads((tmp_path / "tuned" / "search.json").read_text())
    assert search["metric"] == more["metric"]
    assert [trial["number"] for trial in search["trials"]] == [0, 1, 2, 3, 4]
    assert (search["trials"][0]["changes"], search["trials"][0]["value"]) == ([], more["first"])
    ended = [trial for trial in search["trials"] if trial["state"] == "complete"]
    assert max(trial["value"] for trial in ended) == more["best"]
    assert all(trial["epochs"] == 2 and trial["seconds"] > 0 for trial in ended)
    said = done("report", tmp_path / "tuned", "--out", tmp_path / "report.html")
    assert said.startswith(f"Search        Over 5 trials {more['metric']} on the validation rows ")
    assert more["best"] >= first["best"]
    best = yaml.safe_load((tmp_path / "tuned" / "best.yaml").read_text())
    for change in more["changes"]:
        key, _, value = change.partition("=")
        section, name = key.split(".")
        assert best[section][name] == pytest.approx(yaml.safe_load(value))
    assert best["training"]["refit"] is True  # as the configuration has it, not as the trials
    done("train", tmp_path / "tuned" / "best.yaml", "--out", tmp_path / "checkpoint")


@pytest.mark.slow
def test_a_trial_that_was_cut_off_is_told_as_such_and_does_not_count(shop: Path, tmp_path: Path) -> None:
    done(*words(shop, tmp_path / "tuned", 1))
    study = optuna.load_study(study_name="tune", storage=f"sqlite:///{tmp_path / 'tuned' / 'study.db'}")
    study.ask()  # and its process is killed
    with locked(tmp_path / "tuned" / ".lock"):  # or goes on
        code, _, err = command("-q", *words(shop, tmp_path / "tuned", 2))
        assert (code, "another run is at work in" in err) == (75, True)
    assert json.loads(done(*words(shop, tmp_path / "tuned", 2)))["trials"] == 2
    search = json.loads((tmp_path / "tuned" / "search.json").read_text())
    assert [trial["state"] for trial in search["trials"]] == ["complete", "cut off", "complete"]


@pytest.mark.parametrize("fault", [RuntimeError("CUDA out of memory"), KeyboardInterrupt()], ids=["failed", "cut off"])
def test_a_trial_that_failed_is_not_called_cut_off(
    fault: BaseException, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*anything: object) -> float:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr("trainers.tune.tried", fails)
        assert command("-q", *words(shop, tmp_path / "tuned", 1)).code != 0
    study = optuna.load_study(study_name="tune", storage=f"sqlite:///{tmp_path / 'tuned' / 'study.db'}")
    assert states_of(study) == ["cut off" if isinstance(fault, KeyboardInterrupt) else "failed"]


@pytest.mark.slow
def test_another_search_is_not_mixed_in(shop: Path, tmp_path: Path) -> None:
    done(*words(shop, tmp_path / "tuned", 1))
    code, _, err = command("-q", *words(shop, tmp_path / "tuned", 2, "--set", "training.epochs=1"))
    assert (code, "holds a search on other data or with other settings" in err) == (2, True)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("trainning.lr=0.1,0.2", "unknown key 'trainning'; did you mean 'training'?"),
        ("data.histroy=10,20", "unknown key 'data.histroy'; did you mean 'history'?"),
        ("training.lrr=0.1..1", "--search training.lrr=0.1: unknown key 'training.lrr'; did you mean 'lr'?"),
        ("model.dimm=2,4", "model pmf: unknown key 'dimm'; did you mean 'dim'?"),
        ("model.dim=2,x", '--search model.dim=x: the configuration, model pmf: dim is "x", but should be'),
        ("training.id_dropout=0.5..2.0", "--search training.id_dropout=2.0: training.id_dropout is 2.0"),
        ("data.interactions.positive=3,4", "--search data.interactions.positive: all trials have it in common"),
        ("training.seeds=1,3", "--search training.seeds: all trials have it in common"),
        ("training.metric=ndcg@10,hr@50", "--search training.metric: all trials have it in common"),
        (
            "training.loss=softmax,mse",
            "--search training.loss=mse: that trial would be judged by other rows or another",
        ),
    ],
)
def test_a_slip_in_what_is_searched_is_blamed_on_it_before_anything_is_done(
    search: str, said: str, shop: Path, tmp_path: Path
) -> None:
    code, _, err = command("-q", *words(shop, tmp_path / "tuned", 2, "--search", search))
    assert (code, said in err, list(tmp_path.iterdir())) == (2, True, [])


def test_a_configuration_that_cannot_be_trained_ends_a_search_with_its_reason(shop: Path, tmp_path: Path) -> None:
    code, _, err = command("-q", *words(shop, tmp_path / "tuned", 4, "--set", "training.lr=1e30"))
    assert (code, "Error: the configuration as it is cannot be trained: " in err) == (65, True)
    trials = json.loads((tmp_path / "tuned" / "search.json").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["failed"]


def test_the_device_of_the_configuration_is_that_of_trials(shop: Path, tmp_path: Path) -> None:
    code, _, err = command("-q", *words(shop, tmp_path / "tuned", 1, "--set", "training.device=abacus"))
    assert (code, "'abacus'" in err) == (69, True), err


def test_a_search_says_nothing_of_habits_which_it_does_not_learn(shop: Path, tmp_path: Path) -> None:
    silent = "--set", "score.seen=keep", "--set", "data.interactions.repeats=first"
    answer = command(*words(shop, tmp_path / "tuned", 1, *silent))
    assert (answer.code, "habits" in answer.err) == (0, False), answer.err


def test_a_key_of_a_model_that_is_searched_for_is_no_slip(shop: Path, tmp_path: Path) -> None:
    searched = "--search", "model.name=hybrid,gated", "--search", "model.rates=2,3", "--search", "training.lrr=1,2"
    code, _, err = command("-q", *words(shop, tmp_path / "tuned", 2, *searched))
    assert (code, "--search training.lrr=1: unknown key" in err) == (2, True)


@pytest.mark.parametrize("text", ["training.lr", "training.lr=0.1", "training.lr=a..b", "training.lr=1..0.1", "=1..2"])
def test_a_slip_in_a_search_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="--search is"):
        Choice.parsed(text)


def test_a_search_is_a_range_of_numbers_or_a_list() -> None:
    assert Choice.parsed("a.b=1..10") == Choice(key="a.b", low=1, high=10, whole=True)
    assert Choice.parsed("a.b=0.1..1e2") == Choice(key="a.b", low=0.1, high=100)
    assert Choice.parsed("a.b=x,y") == Choice(key="a.b", values=("x", "y"))
