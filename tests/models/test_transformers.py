"""ViT, Mixer and torchvision's ResNet: their sizes, and slow restatements of what they compute."""

import pytest
import torch

from gendata.errors import GendataError
from gendata.models import build_network
from gendata.models.mixer import Mixer, MixerShape
from gendata.models.vit import PatchEmbedding, ViT, ViTShape


@pytest.mark.parametrize(
    ("name", "count", "millions"),
    [
        ("torchvision-resnet50", 23_528_522, 23.53),
        ("vit-b16", 85_778_698, 85.78),
        ("mixer-b16", 59_119_162, 59.12),
    ],
)
def test_published_parameter_counts(name, count, millions):
    with torch.device("meta"):
        from gendata.models.backbones import OWN

        own = OWN[name]
        backbone = own.build(10) if own.side is None else own.build(10, own.side)
    found = sum(parameter.numel() for parameter in backbone.parameters())
    assert found == count and round(found / 1e6, 2) == millions


@pytest.mark.parametrize("name", ["small-vit", "small-mixer-s", "small-mixer-b", "small-mixer-l"])
def test_small_ones_give_logits_and_the_features_behind_them(name):
    network = build_network(name, 5).eval()
    images = torch.randint(0, 256, (3, 3, 48, 48), dtype=torch.uint8)  # brought to 32
    output = network(images)
    assert output.logits.shape == (3, 5)
    last = network.backbone.get_classifier()
    torch.testing.assert_close(last(output.features), output.logits)
    other = build_network(name, 5, input_size=64)
    assert other.input_size == 64 and other(images).logits.shape == (3, 5)


def test_mixers_grow():
    counts = [
        sum(p.numel() for p in build_network(f"small-mixer-{size}", 4).parameters())
        for size in "sbl"
    ]
    assert counts == sorted(counts) and counts[2] > 10 * counts[0]


def test_a_size_that_patches_do_not_divide():
    with pytest.raises(GendataError, match="small-vit cannot be built.*33 pixels"):
        build_network("small-vit", 3, input_size=33)


def test_patches_row_by_row():
    embedding = PatchEmbedding(8, 4, 6)
    x = torch.randn(2, 3, 8, 8)
    tokens = embedding(x)
    for row in range(2):
        for column in range(2):
            patch = x[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten(1)
            expected = patch @ embedding.linear.weight.T + embedding.linear.bias
            torch.testing.assert_close(tokens[:, 2 * row + column], expected)


def normalised(x, norm):
    centred = x - x.mean(-1, keepdim=True)
    scale = (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()
    return centred / scale * norm.weight + norm.bias


def gelu(x):
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def test_vit_against_loops():
    shape = ViTShape(4, 12, 2, 3, 24)
    model = ViT(shape, 5, 8).double().eval()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    for row in range(2):
        tokens = torch.cat([model.class_token[0], model.embedding(x)[row]]) + model.positions[0]
        for attention, mlp in zip(model.attentions, model.mlps, strict=True):
            queries, keys, values = attention.qkv.weight.chunk(3)
            inner, heads = normalised(tokens, attention.norm), []
            for head in range(3):
                part = slice(4 * head, 4 * head + 4)
                q, k, v = (inner @ w[part].T for w in (queries, keys, values))
                weights = (q @ k.T / 4**0.5).exp()
                heads.append(weights / weights.sum(1, keepdim=True) @ v)
            tokens = tokens + torch.cat(heads, 1) @ attention.out.weight.T + attention.out.bias
            first, second = mlp[1], mlp[4]
            hidden = gelu(normalised(tokens, mlp[0]) @ first.weight.T + first.bias)
            tokens = tokens + hidden @ second.weight.T + second.bias
        expected = normalised(tokens[0], model.norm) @ model.linear.weight.T + model.linear.bias
        torch.testing.assert_close(model(x)[row], expected)


def test_mixer_against_loops():
    model = Mixer(MixerShape(4, 12, 2), 5, 8).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    for row in range(2):
        tokens = model.embedding(x)[row]  # (T, D)
        for norm, over_tokens, over_channels in zip(
            model.token_norms, model.token_mlps, model.channel_mlps, strict=True
        ):
            columns = normalised(tokens, norm)
            mixed = torch.empty_like(tokens)
            for channel in range(12):
                first, second = over_tokens[0], over_tokens[2]
                hidden = gelu(first.weight @ columns[:, channel] + first.bias)
                mixed[:, channel] = second.weight @ hidden + second.bias
            tokens = tokens + mixed
            first, second = over_channels[1], over_channels[3]
            hidden = gelu(normalised(tokens, over_channels[0]) @ first.weight.T + first.bias)
            tokens = tokens + hidden @ second.weight.T + second.bias
        pooled = normalised(tokens, model.norm).mean(0)
        expected = pooled @ model.linear.weight.T + model.linear.bias
        torch.testing.assert_close(model(x)[row], expected)
    assert model.token_mlps[0][0].out_features == 6 and model.channel_mlps[0][1].out_features == 48


def test_vit_drops_out_in_training_only():
    model = ViT(ViTShape(4, 12, 1, 3, 24), 5, 8)
    x = torch.randn(2, 3, 8, 8)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
    wide = ViT(ViTShape(4, 384, 1, 3, 24), 5, 32)
    for embedding in (wide.positions, wide.class_token):
        assert embedding.std().item() == pytest.approx(1, abs=0.15)
