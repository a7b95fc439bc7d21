import edm_lookalikes as lookalikes
import pytest

from gendata.samplers.networks.preconditioning import build
from gendata.samplers.restricted_pickle import read_checkpoint

NCSNPP = {"embedding": "fourier", "encoder": "residual", "noise_mult": 2, "taps": (1, 3, 3, 1)}


@pytest.mark.parametrize(
    "options",
    [
        {"classes": 4},
        NCSNPP,
        {**NCSNPP, "classes": 2, "mults": (2, 2, 2), "side": 16, "attention": (16, 4)},
        {"encoder": "skip", "decoder": "skip", "taps": (1, 3, 3, 1), "mults": (1, 2, 3)},
        {"encoder": "residual", "decoder": "skip", "width": 16, "attention": ()},
        {"side": 7, "mults": (1,), "blocks": 3, "attention": (7,)},
        {"side": 12, "mults": (2, 1), "blocks": 2},
        {"side": 12, "decoder": "skip"},
    ],
)
def test_outputs_are_those_of_the_formulas(tmp_path, options):
    options = {"side": 8, **options}
    reference, path = lookalikes.save(tmp_path / "net.pkl", **options)
    denoiser = build(read_checkpoint(path)["ema"], path.stat().st_size)
    assert lookalikes.network_deviation(reference, denoiser) < 1e-4
