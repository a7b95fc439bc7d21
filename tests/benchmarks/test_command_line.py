"""The command that a report names is the one that repeats it."""

from gendata.benchmarks.command_line import command_line
from gendata.benchmarks.protocol.references import Source


def study(
    *,
    out,
    data=None,
    names=(),
    options=None,
    threshold=0.8,
    seed=0,
    strict=False,
    jobs=1,
    dry_run=False,
):
    """Stands for a study."""


def words(repeated=None, **given):
    usual = {name: value for name, value in study.__kwdefaults__.items()}
    return command_line("bench it", study, {**usual, "out": "study", **given}, repeated)


def test_only_what_differs_from_the_default_is_named():
    assert words() == "gendata bench it --out study"
    assert words(jobs=4, dry_run=True) == words(), "what is done now decides no result"
    assert words(seed=3, strict=True).endswith("--seed 3 --strict")
    assert words(threshold=0.0).endswith("--threshold 0.0"), "nought is no default"


def test_values_are_quoted_and_joined():
    assert words(data="my photos").endswith("--data 'my photos'")
    assert words(names=["a", 2]).endswith("--names a,2")
    source = Source("GAN", "embedded:fashion-gan")
    assert words(names=[source]).endswith("--names GAN=embedded:fashion-gan")
    assert words(options={"size": 3}).endswith("-o size=3")
    assert words({"names": "--name"}, names=["a", "b"]).endswith("--name a --name b")
