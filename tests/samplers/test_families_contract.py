"""What every family of generators promises, one test over all of them.

An image depends on its class and its seed alone; a clone that was killed, or drawn in shares, or
drawn again from its record, is the same clone, byte by byte: with random noise, and with samplers
that add noise at each step, as much as without.
"""

import multiprocessing
import signal
from pathlib import Path

import pytest
import torch
from family_files import FAMILIES, draw_family, draw_family_quietly

from gendata import load_sampler, verify_clone
from gendata.errors import GendataError
from gendata.samplers.inspection import inspect_checkpoint

# diffusers' schedulers mix NumPy and torch in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
SEEDS = torch.tensor([5, 2**62 + 1, 7, 11])
LABELS = torch.tensor([2, 0, 1, 2])
# A clean server imports what draws once and forks the processes; nothing of pytest is in them.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(  # what is not installed is left out
    [
        *("gendata.clone", "gendata.images.open", "gendata.samplers.diffusers", "pandas"),
        *("diffusers.schedulers", "diffusers.models.unets.unet_2d", "onnxruntime"),
        *("diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img",),
        *("diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl",),
        *("diffusers.pipelines.latent_consistency_models.pipeline_latent_consistency_text2img",),
    ]
)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """A family, its reference and its options."""
    found = FAMILIES[request.param]
    pytest.importorskip(found.needs)
    folder = tmp_path_factory.mktemp(request.param)
    return found, found.make(folder), found.given(folder)


@pytest.fixture(scope="module")
def sampler(family):
    return load_sampler(family[1], device="cpu", **family[2])


@pytest.fixture(scope="module")
def whole(family, tmp_path_factory):
    """A clone that one process draws in one go."""
    folder = tmp_path_factory.mktemp("whole") / "clone"
    draw_family(*family[1:], folder)
    return folder


def labels_for(family, *labels):
    return torch.tensor(labels) if family[0].conditional else None


def contents(folder: Path):
    """All that a clone consists of; what shares drew beyond its end is not of it."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "draws"]
    assert not any(path.name.startswith(".") for path in files), "temporary files stay"
    kept = {path.relative_to(folder): path.read_bytes() for path in files}
    assert sum(path.suffix == ".parquet" for path in kept) > 2
    return kept


def test_an_image_depends_on_its_label_and_seed_alone(family, sampler):
    labels = labels_for(family, *LABELS.tolist())
    images = sampler.sample(labels, SEEDS)
    assert images.dtype == torch.uint8 and images.shape[:2] == (4, 3)
    assert images.shape[2:] == (sampler.resolution,) * 2
    assert torch.equal(sampler.sample(labels, SEEDS), images), "nothing is left from before"
    assert len({image.numpy().tobytes() for image in images}) == 4
    order = torch.tensor([2, 3, 1, 0])
    shuffled = sampler.sample(None if labels is None else labels[order], SEEDS[order])
    assert torch.equal(shuffled, images[order])
    mates = sampler.sample(labels_for(family, 2, 1, 1, 1), torch.tensor([5, 90, 91, 92]))
    assert torch.equal(mates[0], images[0])
    for size in (1, 3):  # another batch size rounds otherwise: a grey level, and rarely
        part = sampler.sample(None if labels is None else labels[:size], SEEDS[:size])
        differences = (part.int() - images[:size].int()).abs()
        assert differences.max() <= 1 and (differences > 0).float().mean() < 0.02


def test_labels_and_other_seeds_are_seen(family, sampler):
    images = sampler.sample(labels_for(family, 0, 1, 2), torch.tensor([4, 4, 4]))
    assert torch.equal(images[0], images[1]) != family[0].conditional
    other = sampler.sample(labels_for(family, 0, 1, 2), torch.tensor([5, 5, 5]))
    assert not torch.equal(images[0], other[0])


def test_a_process_that_loads_it_again_draws_the_same(family, sampler):
    again = load_sampler(sampler.name, device="cpu", **family[2])
    labels = labels_for(family, *LABELS.tolist())
    assert torch.equal(again.sample(labels, SEEDS), sampler.sample(labels, SEEDS))
    assert again.card == sampler.card and len(sampler.card.sha256) == 64


def test_a_killed_run_continues_to_the_same_bytes(family, whole, tmp_path):
    arguments, settings = (*family[1:], tmp_path / "clone"), {"dies_at": 2}
    process = context.Process(target=draw_family_quietly, args=arguments, kwargs=settings)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "clone" / "README.md").exists()
    draw_family(*arguments)
    assert contents(tmp_path / "clone") == contents(whole)


def test_shares_are_the_same_clone(family, whole, tmp_path):
    for share in (2, 0, 1):
        clone = draw_family(*family[1:], tmp_path / "clone", shard=(share, 3))
        assert (clone is None) == (share != 1)
    assert contents(tmp_path / "clone") == contents(whole)


def test_verify_draws_it_again_from_its_record(family, whole):
    trust = bool(family[2].get("trust"))
    result = verify_clone(whole, all=True, device="cpu", trust=trust)
    assert result["ok"] and result["complete"], result
    assert result["rows"] == result["redrawn"]["rows"] == (9 if family[0].conditional else 6)
    assert result["redrawn"]["identical_images"] == 1


def test_inspect_tells_what_it_is(family):
    kind, _, place = family[1].partition(":")
    path = Path(place)
    if kind == "python":
        with pytest.raises(GendataError):  # a program is no file
            inspect_checkpoint(path)
        return
    if kind == "onnx":
        with pytest.raises(GendataError, match="draw from it as onnx:"):
            inspect_checkpoint(path)
        return
    found = inspect_checkpoint(path)
    assert found.family and found.reference == family[1]
