"""Each image gets its own draw, pixel by pixel as the paper says, and gradients pass through."""

import torch

from gendata.assets.recipes.diff_augment import augmented, blanked, recoloured, translated


def images(count=6, side=8, seed=0):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_colours_against_a_loop():
    torch.manual_seed(1)
    found = recoloured(images())
    torch.manual_seed(1)
    draws = torch.rand(3, 6)
    for number, image in enumerate(images()):
        brightness, saturation, contrast = (draws[row, number].item() for row in range(3))
        image = image + brightness - 0.5
        for y in range(8):
            for x in range(8):
                grey = image[:, y, x].mean()
                image[:, y, x] = grey + (image[:, y, x] - grey) * 2 * saturation
        expected = image.mean() + (image - image.mean()) * (0.5 + contrast)
        torch.testing.assert_close(found[number], expected, atol=1e-5, rtol=1e-5)


def test_translation_moves_whole_images_both_ways_by_at_most_so_many_pixels():
    torch.manual_seed(0)
    seen = set()
    given = torch.zeros(200, 3, 8, 8)
    given[:, :, 3, 4] = torch.tensor([1.0, 2.0, 3.0])[:, None].T  # one pixel, three colours
    for image in translated(given, 2):
        (y,), (x,) = torch.nonzero(image[0], as_tuple=True)
        assert image[:, y, x].tolist() == [1, 2, 3] and image.count_nonzero() == 3
        seen.add((int(y) - 3, int(x) - 4))
    assert seen == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_one_square_is_blank():
    torch.manual_seed(0)
    areas = []
    for image in blanked(torch.ones(300, 3, 8, 8), 4):
        assert torch.equal(image[0], image[1]) and torch.equal(image[0], image[2])
        y, x = torch.nonzero(image[0] == 0, as_tuple=True)
        height, width = (int(part.max() - part.min()) + 1 for part in (y, x))
        assert len(y) == height * width, "a rectangle, cut off at the border"
        areas.append((height, width))
    assert max(areas) == (4, 4) and min(height for height, _ in areas) >= 1


def test_gradients_pass_through_all_of_it():
    given = images().requires_grad_()
    torch.manual_seed(0)
    augmented(given).square().sum().backward()
    assert given.grad.abs().sum(dim=(1, 2, 3)).min() > 0
