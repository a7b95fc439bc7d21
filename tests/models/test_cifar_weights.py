import io

import numpy as np
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from gendata.models import load_classifier


def accuracy(shared, depth, count):
    table = pyarrow.parquet.read_table(shared / "data/cifar10/test.parquet").slice(0, count)
    pictures = [
        np.array(Image.open(io.BytesIO(cell["bytes"])).convert("RGB"))
        for cell in table[0].to_pylist()
    ]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    path = shared / f"checkpoints/cifar10_resnets/resnet{depth}.safetensors"
    classifier = load_classifier(f"cifar-resnet{depth}:{path}", device="cpu")
    guesses = torch.cat([classifier.probabilities(part).argmax(1) for part in images.split(250)])
    return (guesses.numpy() == np.array(table[1].to_pylist())).mean()


def test_resnet20_on_a_thousand_images(shared):
    assert accuracy(shared, 20, 1000) == pytest.approx(0.936, abs=0.0005)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_published_accuracy_on_the_whole_test_set(shared, depth):
    published = {20: 0.9173, 32: 0.9263, 44: 0.9310, 56: 0.9339}[depth]
    assert accuracy(shared, depth, 10_000) == pytest.approx(published, abs=0.00005)
