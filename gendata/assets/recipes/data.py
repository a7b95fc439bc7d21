"""Cut the embedded Fashion-MNIST subset from the four official files.

Xiao, Rasul, Vollgraf (2017), "Fashion-MNIST: a novel image dataset for benchmarking machine
learning algorithms". The files are MIT licensed; Debian ships them as `dataset-fashion-mnist`.
"""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import click
import numpy as np

from gendata.assets.recipes.card import sha256_of, write_card
from gendata.files import write_text

CLASSES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]

LICENCE = """\
MIT License

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def read_idx(path: Path) -> np.ndarray:
    """Reads a gzipped IDX file of unsigned bytes."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def balanced_rows(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Chooses `per_class` row numbers of every class, shuffled."""
    random = np.random.default_rng(seed)
    chosen = [
        random.permutation(np.flatnonzero(labels == label))[:per_class]
        for label in np.unique(labels)
    ]
    return random.permutation(np.concatenate(chosen))


@click.command()
@click.option("--source", default="/usr/share/datasets/fashion-mnist", show_default=True)
@click.option("--train-per-class", default=1000, show_default=True)
@click.option("--test-per-class", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", default=str(Path(__file__).parents[1] / "fashion-mnist"), show_default=True)
def main(source: str, train_per_class: int, test_per_class: int, seed: int, out: str) -> None:
    """Write train.npz, test.npz, LICENSE and card.json."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"train": ("train", train_per_class), "test": ("t10k", test_per_class)}
    figures = {}
    for split, (stem, per_class) in counts.items():
        images = read_idx(Path(source) / f"{stem}-images-idx3-ubyte.gz")
        labels = read_idx(Path(source) / f"{stem}-labels-idx1-ubyte.gz")
        rows = balanced_rows(labels, per_class, seed)
        np.savez_compressed(
            folder / f"{split}.npz",
            images=images[rows],
            labels=labels[rows].astype(np.int64),
            classes=np.array(CLASSES),
        )
        figures[f"{split} images"] = len(rows)
    write_text(folder / "LICENSE", LICENCE)
    write_card(
        folder,
        title="Fashion-MNIST, a class-balanced subset",
        origin="https://github.com/zalandoresearch/fashion-mnist "
        "(Debian package dataset-fashion-mnist)",
        licence="MIT",
        licence_text="LICENSE",
        training_data=None,
        script="gendata.assets.recipes.data",
        command=f"python -m gendata.assets.recipes.data --seed {seed}",
        settings={
            "train_per_class": train_per_class,
            "test_per_class": test_per_class,
            "seed": seed,
        },
        figures=figures,
        files={name: sha256_of(folder / name) for name in ("train.npz", "test.npz")},
    )
    click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
