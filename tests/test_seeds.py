"""Seeds: one hash per image, noise that depends on nothing else."""

import hashlib

import torch

from gendata.seeds import hash_seed, image_noise


def test_hash_is_blake2b_of_the_parts():
    parts = [7, 3, 12, 0]
    content = b"".join(part.to_bytes(8, "little") for part in [4, *parts])
    expected = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") >> 1
    assert hash_seed(*parts) == expected
    assert 0 <= expected < 2**63


def test_parts_are_not_mixed_up():
    seeds = {
        hash_seed(0),
        hash_seed(0, 0),
        hash_seed(0, 1),
        hash_seed(1, 0),
        hash_seed(0, 0, 0, 0),
    }
    assert len(seeds) == 5
    many = {hash_seed(0, c, j, k) for c in range(10) for j in range(100) for k in range(5)}
    assert len(many) == 5000


def test_noise_of_an_image_ignores_its_neighbours():
    seeds = torch.tensor([5, 2**62 + 1, 9])
    noise = image_noise(seeds, (1, 7, 5))
    assert noise.shape == (3, 1, 7, 5)
    for row, seed in enumerate(seeds.tolist()):
        expected = torch.randn(1, 7, 5, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(noise[row], expected)
        assert torch.equal(image_noise([seed], (1, 7, 5))[0], expected)
