"""A frozen teacher's features: kept by row and view, or computed for each batch."""

import pytest
import torch
from toys import toy_images

from gendata.images import make_loader
from gendata.models import build_network
from gendata.training.frozen_features import FrozenFeatures
from gendata.training.learner import Learner
from gendata.training.processes import start_accelerator


class CountingTeacher:
    """Its features are sums that any batch gives alike; it counts the images it was shown."""

    feature_dim, shown = 4, 0

    def features(self, images):
        self.shown += len(images)
        return images.double().view(len(images), 4, -1).sum(dim=2).float()


def features_over(loader, epochs):
    network = build_network("small-cnn", 3)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    learner = Learner(
        network,
        optimizer,
        start_accelerator("cpu", "no"),
        classes=["a", "b", "c"],
        loaders={"synthetic": loader},
    )
    teacher = CountingTeacher()
    features = FrozenFeatures(teacher, learner)
    for epoch in range(epochs):
        for examples in loader.epoch(epoch):
            found = features("synthetic", examples)
            assert torch.equal(found, CountingTeacher().features(examples.images))
    return teacher.shown


@pytest.mark.parametrize("loader", [{}, {"resident": False, "workers": 0}])
def test_each_view_is_paid_for_once(loader):
    images = toy_images("synthetic", 150, 0)
    assert features_over(make_loader(images, 32, views=3, seed=4, **loader), epochs=6) == 3 * 150


def test_fresh_augmentations_are_shown_every_time():
    assert features_over(make_loader(toy_images("synthetic", 64, 0), 32), epochs=3) == 3 * 64
