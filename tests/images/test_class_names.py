import pytest
from timm.data import ImageNetInfo

from gendata.images.class_names import match_names

categories = pytest.importorskip("torchvision.models._meta")._IMAGENET_CATEGORIES
TABLE = ImageNetInfo()
SYNONYMS = [TABLE.index_to_description(label) for label in range(1000)]
IDS = TABLE.label_names()
IN_ORDER = list(range(1000))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SYNONYMS, categories),
        (categories, SYNONYMS),
        (SYNONYMS, SYNONYMS),
        (SYNONYMS, IDS),
        (IDS, categories),
        ([name.replace(" ", "_") for name in categories], SYNONYMS),
        ([name.upper() for name in SYNONYMS], SYNONYMS),
    ],
)
def test_imagenet_is_recognised_in_every_spelling(ours, theirs):
    assert match_names(ours, theirs) == IN_ORDER


def test_imagenet_in_another_order_is_matched_by_name():
    order = sorted(IN_ORDER, key=lambda label: IDS[label][::-1])
    assert match_names(categories, [categories[label] for label in order]) == [
        order.index(label) for label in IN_ORDER
    ]
    # Names alone do not tell the two cranes apart, so in another order nothing is guessed.
    assert match_names(SYNONYMS, [categories[label] for label in order]) is None
    one_crane = [label for label in order if label != 517]
    assert match_names(
        [SYNONYMS[label] for label in IN_ORDER if label != 517],
        [categories[label] for label in one_crane],
    ) == [one_crane.index(label) for label in IN_ORDER if label != 517]


@pytest.mark.parametrize(
    ("ours", "theirs", "places"),
    [
        (["a", "b", "c"], ["c", "a", "b"], [1, 2, 0]),
        (["cat", "dog"], ["Dog, hound", "cat, puss"], [1, 0]),
        (["Cardigan, corgi", "cardigan"], ["cardigan", "Cardigan"], [1, 0]),
        (["dog", "hot dog, frankfurter"], ["hot_dog", "dog"], [1, 0]),
        (["maillot, tank suit", "maillot"], ["maillot", "maillot tank suit"], [1, 0]),
        (["crane", "crane"], ["crane bird", "crane"], [0, 1]),
        (["a b", "a_b"], ["a_b", "a b"], [1, 0]),
        (["n00000000", "n1"], ["n1", "n00000000"], [1, 0]),
        ([], [], []),
        (["cat", "dog"], ["cat", "dog", "cow"], None),
        (["cat", "dog"], ["cat", "hound"], None),
        (["cat", "dog"], ["wild cat", "dog"], None),
        (["cat", "puss"], ["cat, puss", "dog"], None),
        (["cat", "cat"], ["dog", "cat"], None),
        (["x", "crane", "crane"], ["crane", "x", "crane bird"], None),
    ],
)
def test_lists_are_matched_or_told_apart(ours, theirs, places):
    assert match_names(ours, theirs) == places
