from xml.etree import ElementTree

from gendata.page.names import printable, shortened


def test_ordinary_names_stay_as_they_are():
    for name in ("T-shirt/top", "Ünïcode 的 😀", "<b>&\"'", "a b"):
        assert printable(name) == name


def test_what_no_page_can_hold_is_replaced():
    assert printable("a\tb\nc") == "a b c"
    assert printable("a\x00b\x1b\ud800\ufffe\u202e") == "a�b����"
    every = "".join(map(chr, range(0x11000)))
    ElementTree.fromstring(f"<a>{printable(every).replace('&', '').replace('<', '')}</a>")
    printable(every).encode("utf-8")


def test_shortened_ends_in_an_ellipsis_and_never_exceeds_the_length():
    assert shortened("short", 5) == "short"
    assert shortened("c" * 200, 28) == "c" * 27 + "…"
