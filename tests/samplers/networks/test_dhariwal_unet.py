import edm_lookalikes as lookalikes
import pytest

from gendata.samplers.networks.preconditioning import build
from gendata.samplers.restricted_pickle import read_checkpoint


@pytest.mark.parametrize(
    "options",
    [
        {"width": 32, "mults": (1, 2, 4), "attention": (4, 2), "classes": 3},
        {"width": 64, "mults": (1, 2), "blocks": 2, "attention": (8, 4)},
        {"width": 16, "mults": (2, 1), "attention": (), "classes": 2},
    ],
)
def test_outputs_are_those_of_the_formulas(tmp_path, options):
    reference, path = lookalikes.save(
        tmp_path / "net.pkl", network=lookalikes.DhariwalUNet, side=8, **options
    )
    denoiser = build(read_checkpoint(path)["ema"], path.stat().st_size)
    assert lookalikes.network_deviation(reference, denoiser) < 1e-4
