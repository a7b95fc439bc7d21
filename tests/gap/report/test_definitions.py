from pathlib import Path

from gendata.gap.report.definitions import DEFINITIONS, definitions_table

PAGE = Path(__file__).parents[3] / "docs" / "gap.md"


def test_the_documentation_holds_the_definitions_of_the_code():
    assert definitions_table() in PAGE.read_text("utf-8"), (
        "put what `python -m gendata.gap.report.definitions` prints into docs/gap.md"
    )


def test_every_figure_is_defined_in_a_sentence_or_a_few():
    for figures in DEFINITIONS.values():
        for name, meaning in figures.items():
            assert meaning.endswith(".") and 40 < len(meaning) < 450, name
