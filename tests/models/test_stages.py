"""Maps of named stages: which they are, and how a forward pass yields them."""

import pytest
import torch

from gendata.errors import GendataError
from gendata.models import build_network
from gendata.models.stages import missing_stages, recorded_maps, stage_names


@pytest.mark.parametrize(
    ("name", "last", "shapes"),
    [
        ("resnet18", ["layer3", "layer4"], [(256, 4, 4), (512, 2, 2)]),
        ("embedded:efficientnet-lite0", ["blocks.4", "blocks.6"], [(112, 4, 4), (320, 2, 2)]),
        ("small-cnn", ["norms.2", "norms.3"], [(64, 16, 16), (128, 8, 8)]),
        ("cifar-resnet20", ["layer2", "layer3"], [(32, 32, 32), (64, 16, 16)]),
    ],
)
def test_the_last_stages_of_each_kind_of_network(name, last, shapes):
    network = build_network(name, 3)
    assert stage_names(network)[-2:] == last
    with recorded_maps(network, last) as maps:
        network(torch.zeros(2, 3, 64, 64))
    assert [tuple(maps[stage].shape[1:]) for stage in last] == shapes


def test_maps_belong_to_the_pass_and_carry_its_gradient():
    network = build_network("cifar-resnet20", 3)
    images = torch.rand(2, 3, 16, 16)
    with recorded_maps(network, ["layer3"]) as maps:
        output = network(images)
    kept = maps["layer3"]
    torch.testing.assert_close(kept.mean(dim=(2, 3)), output.features)
    network(1 - images)
    assert maps["layer3"] is kept, "nothing is kept after the block"
    kept.square().sum().backward()
    assert network.backbone.layer3[0].conv1.weight.grad.abs().sum() > 0
    assert network.backbone.linear.weight.grad is None


def test_a_map_that_is_rectified_in_place_is_read_after_that():
    network = build_network("small-cnn", 3)
    with recorded_maps(network, ["norms.3"]) as maps:
        output = network(torch.rand(2, 3, 16, 16))
    assert maps["norms.3"].min() == 0
    torch.testing.assert_close(maps["norms.3"].mean(dim=(2, 3)), output.features)


def test_what_is_no_stage_is_one_clear_error():
    network = build_network("resnet18", 3)
    assert missing_stages(network, ["layer4", "layer9", ""]) == ["layer9", ""]
    with (
        pytest.raises(GendataError, match="resnet18 has no submodule 'layer9'.*layer3"),
        recorded_maps(network, ["layer9"]),
    ):
        pass
    with (
        pytest.raises(GendataError, match="'global_pool' of resnet18 makes no maps.*512"),
        recorded_maps(network, ["global_pool"]),
    ):
        network(torch.zeros(2, 3, 32, 32))
    assert not network.backbone.global_pool._forward_hooks


def test_a_network_whose_stages_are_not_known_says_so():
    network = build_network("resnet18", 3)
    network.backbone.output_fmt = "NHWC"  # as in Swin, whose channels come last
    with pytest.raises(GendataError, match="stages of resnet18 are not known"):
        stage_names(network)
