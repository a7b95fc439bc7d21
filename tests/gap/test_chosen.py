import pytest

from gendata.errors import GendataError
from gendata.gap.chosen import ON_FEATURES, PARTS, chosen_parts


def test_no_choice_is_everything_and_a_choice_is_put_in_order():
    assert chosen_parts(None) == list(PARTS)
    assert chosen_parts(["missing", "cross-source", "missing"]) == ["cross-source", "missing"]
    assert chosen_parts("worth") == ["worth"]
    assert set(ON_FEATURES) < set(PARTS)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["fidelty"], "found 'fidelty'; expected some of cross-source.*did you mean 'fidelity'?"),
        (["xyz"], "no such part of the measurement"),
        ([], "no part to measure"),
    ],
)
def test_unknown_parts_are_refused(parts, message):
    with pytest.raises(GendataError, match=message):
        chosen_parts(parts)
