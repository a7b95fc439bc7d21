"""What a fingerprint tells apart, and that a training looks at it."""

import pytest
from toys import toy_images

import gendata
from gendata.errors import GendataError
from gendata.images import ArrayImages, Damage, DamagedImage
from gendata.training.fingerprint import fingerprint


def test_it_tells_pixels_labels_and_class_names_apart():
    base = toy_images("toy", 9, 0)
    pixels = base.images.clone()
    pixels[3, 0, 0, 0] ^= 1
    others = [
        ArrayImages("toy", base.classes, pixels, base.labels),
        ArrayImages("toy", base.classes, base.images, base.labels[::-1].copy()),
        ArrayImages("toy", ["a", "b", "c"], base.images, base.labels),
    ]
    seen = {fingerprint(base), *map(fingerprint, others)}
    assert len(seen) == 4 and fingerprint(toy_images("toy", 9, 0)) == fingerprint(base)


def test_a_damaged_image_does_not_stop_it():
    class Damaged(ArrayImages):
        def __getitem__(self, index):
            if index == 4:
                raise DamagedImage(Damage("a file", "cut off"))
            return super().__getitem__(index)

    whole = toy_images("toy", 9, 0)
    damaged = Damaged("toy", whole.classes, whole.images, whole.labels)
    assert fingerprint(damaged) != fingerprint(whole)


def test_other_pixels_under_the_same_name_are_other_images(tmp_path):
    images = toy_images("synthetic", 30, 0)
    inverted = ArrayImages("synthetic", images.classes, 255 - images.images, images.labels)
    options = {"epochs": 1, "batch_size": 16, "progress": False, "out": tmp_path / "run"}
    gendata.train(synthetic=images, **options)
    with pytest.raises(GendataError, match="synthetic.sha256 .* there, .* now"):
        gendata.train(synthetic=inverted, **options)
