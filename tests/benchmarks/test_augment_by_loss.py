"""Adding synthetic images of low, high or any loss to the real ones."""

import json

import numpy as np
import pytest
import torch
from toy_studies import keywords, run_study
from toys import toy_images

from gendata.benchmarks.protocol.augment_by_loss import lowest_highest_random
from gendata.errors import GendataError
from gendata.models import build_network
from gendata.models.weights import fit_weights, read_weights


def slowly(labels, losses, per_class, kind):
    """The choice, restated: sort every class by (loss, row), or by (-loss, row)."""
    sign = 1 if kind == "lowest" else -1
    chosen = []
    for label in sorted(set(labels.tolist())):
        rows = [row for row in range(len(labels)) if labels[row] == label]
        rows.sort(key=lambda row: (sign * losses[row], row))
        chosen += rows[:per_class]
    return tuple(sorted(chosen))


@pytest.mark.parametrize("kind", ["lowest", "highest"])
def test_choice_against_a_slow_restatement(kind):
    images = toy_images("made", 60, 0)
    losses = np.random.default_rng(3).integers(0, 6, 60) / 4.0  # with many equal ones
    for per_class in (1, 7, 20):
        found = lowest_highest_random(images, losses, per_class, kind, seed=0)
        assert found == slowly(images.labels, losses, per_class, kind)


def test_the_random_choice_is_balanced_and_comes_from_its_seed():
    images, losses = toy_images("made", 60, 0), np.arange(60.0)
    found = [lowest_highest_random(images, losses, 5, "random", seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    for rows in found:
        assert len(set(rows)) == 15
        assert np.bincount(images.labels[list(rows)]).tolist() == [5, 5, 5]
    assert found[0] == lowest_highest_random(images, -losses, 5, "random", 0)
    with pytest.raises(GendataError, match="too few images to choose 21 of each class"):
        lowest_highest_random(images, losses, 21, "random", 0)


def test_the_study(tmp_path):
    out = tmp_path / "out"
    given = keywords(tmp_path, augment_by="loss", add="1,2")
    result = run_study("low-shot", out, **given)
    rows = {record["row"] for record in result.data["records"]}
    assert rows == {
        "Few real",
        *(f"+ {k} of {kind} loss" for k in (1, 2) for kind in ("lowest", "highest")),
        *(f"+ {k} a class at random" for k in (1, 2)),
    }
    assert len(result.data["records"]) == 7 * 2
    baselines = {record["row"]: record["baseline"] for record in result.data["records"]}
    assert baselines["+ 2 of lowest loss"] == "+ 2 a class at random"
    assert baselines["+ 2 a class at random"] == "Few real" and baselines["Few real"] is None
    assert (out / "augment-by-loss" / "results.md").exists()

    scorer = next(r for r in result.data["records"] if (r["row"], r["seed"]) == ("Few real", 1))
    losses = losses_of(out / "runs" / scorer["key"] / "last.safetensors", given)
    lowest = next(
        r for r in result.data["records"] if (r["row"], r["seed"]) == ("+ 2 of lowest loss", 1)
    )
    trained = json.loads((out / "runs" / lowest["key"] / "run.json").read_text())["settings"]
    assert trained["real"]["images"] == 6 and trained["synthetic"]["images"] == 6
    made = given["sources"][0].reference
    expected = slowly(made.labels, losses, 2, "lowest")
    assert trained["synthetic"]["sha256"] == fingerprint_of(made, expected)

    again = run_study("low-shot", out, **given)
    assert again.data["records"] == result.data["records"]


def losses_of(weights, given) -> np.ndarray:
    """Cross-entropies under a run's classifier, one image at a time."""
    network = build_network("small-cnn", 3)
    fit_weights(network.backbone, read_weights(weights), weights)
    network.eval()
    made, losses = given["sources"][0].reference, []
    for row in range(len(made)):
        image, label = made[row]
        with torch.no_grad():
            logits = network(image[None]).logits[0].double()
        losses.append(float(torch.logsumexp(logits, 0) - logits[label]))
    return np.array(losses)


def fingerprint_of(images, rows) -> str:
    from gendata.images import Subset
    from gendata.training.fingerprint import fingerprint

    return fingerprint(Subset(images, np.array(rows)))


def test_a_dry_run_counts_what_comes_later(tmp_path):
    given = keywords(tmp_path, augment_by="loss", add=[1, 2], dry_run=True)
    listed = run_study("low-shot", tmp_path / "out", **given)
    assert listed.data["runs"] == 2
    assert any("then 12 runs on images chosen" in note for note in listed.data["notes"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"add": [0]}, "add is out of range"),
        ({"add": ["some"]}, "add is out of range"),
        ({"add": [9]}, "too few images to choose 9"),
        ({"tune": 2}, "give one of them"),
        ({"methods": ["aug"]}, "rows of its own"),
    ],
)
def test_mistakes(given, message, tmp_path):
    words = keywords(tmp_path, augment_by="loss", seeds=1, **given)
    with pytest.raises(GendataError, match=message):
        run_study("low-shot", tmp_path / "out", **words)
