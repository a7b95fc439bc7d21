"""The report in a real browser: nothing complains, every picture loads, the text can be read."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from gendata.gap.extremes import lowest_and_highest
from gendata.gap.losses import spread_of
from gendata.gap.page import write_page
from gendata.gap.report import gap_page
from gendata.gap.result import ClassExtremes, CrossLosses, Ends, GapReport, Source

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

CLASSES = ["<script>alert(1)</script>", "\"quotes' & $x^2$", "emoji 😀", "c" * 200]
CLONES = ["<img src=x onerror=alert(2)>", "gan 😀 'quoted' \"name\" " + "n" * 200]
CHECKER = """<script>addEventListener('load', () => {
  const facts = {
    images: [...document.images].map(i => [i.complete, i.naturalWidth, i.alt]),
    overflow: document.documentElement.scrollWidth - innerWidth,
    text: document.body.innerText,
    graphics: [...document.querySelectorAll('svg')].map(s => s.textContent).join(' '),
    scripts: document.querySelectorAll('script:not(:last-of-type), [onerror]').length,
  };
  document.body.replaceChildren(Object.assign(document.createElement('pre'),
    {id: 'facts', textContent: JSON.stringify(facts)}));
})</script>"""


def cross(seed):
    generator = np.random.default_rng(seed)
    runs = 10 ** generator.normal(-2, 1.5, (2, 40))
    labels = np.arange(40) % 4
    pixels = generator.integers(0, 256, (40, 3, 28, 28), np.uint8)
    extremes = lowest_and_highest(runs.mean(axis=0), labels, classes=4, count=3)
    ends = [
        [Ends(rows, runs.mean(axis=0)[rows], pixels[rows]) for rows in (e.lowest, e.highest)]
        for e in extremes
    ]
    return CrossLosses(spread_of(runs), [ClassExtremes(*pair) for pair in ends])


def made_up_report():
    names = ["real", *CLONES]
    generator = np.random.default_rng(0)
    curves = ("train_accuracy", "held_out_accuracy", "train_loss", "held_out_loss")
    return GapReport(
        classes=CLASSES,
        seeds=(0, 1),
        sources=[
            Source(name, "clone" if name != "real" else "real", name, 80, 40, 4) for name in names
        ],
        accuracy=generator.uniform(0.5, 1, (2, 3, 3)),
        curves={
            name: {curve: generator.uniform(0, 1, (2, 4)) for curve in curves} for name in names
        },
        clone_under_real={name: cross(1) for name in CLONES},
        real_under_clone={name: cross(2) for name in CLONES},
        environment={"command": f"gendata gap real '{CLONES[0]}'", "seeds": "0, 1"},
    )


def opened(path, profile, width=1200):
    """Returns the page's DOM and what the browser had to say."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--disable-sync", f"--user-data-dir={profile}", "--enable-logging=stderr"]
    command += [f"--window-size={width},900", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, timeout=120)
    console = [
        line for line in done.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line
    ]
    return done.stdout.decode("utf-8"), console


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(gap_page(made_up_report()), path)
    return path


def facts_of(report, tmp_path, width):
    """Asks a copy that is allowed to run a script."""
    copy = tmp_path / "copy.html"
    text = re.sub(
        r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report.read_text("utf-8")
    )
    copy.write_text(text.replace("</body>", CHECKER + "</body>"), encoding="utf-8")
    dom, console = opened(copy, tmp_path / "profile", width)
    assert not console
    return json.loads(html.unescape(re.search(r'<pre id="facts">(.*?)</pre>', dom, re.DOTALL)[1]))


def test_the_report_opens_without_a_word_from_the_browser(report, tmp_path):
    dom, console = opened(report, tmp_path / "profile")
    assert not console
    assert "trained on" in dom and html.escape(CLASSES[0], quote=False) in dom


@pytest.mark.parametrize("width", [1200, 500])
def test_every_picture_loads_and_every_name_is_text(report, tmp_path, width):
    facts = facts_of(report, tmp_path, width)
    assert len(facts["images"]) == 2 * 2 * 2 * len(CLASSES)
    assert all(complete and pixels > 0 for complete, pixels, _ in facts["images"])
    alts = " ".join(alt for _, _, alt in facts["images"])
    for name in CLASSES:
        assert name in alts
        assert (name if len(name) <= 28 else name[:27] + "…") in facts["text"]
    assert CLONES[0] in facts["text"] and CLONES[1] in facts["text"]
    assert CLONES[0][:14] in facts["graphics"] and CLONES[1][:14] in facts["graphics"]
    assert facts["scripts"] == 0
    assert facts["overflow"] <= 0


def test_a_fault_would_be_noticed(report, tmp_path):
    """The checks above can fail: a broken picture and a script's error are seen."""
    broken = tmp_path / "broken.html"
    text = re.sub(r"base64,iVBOR", "base64,broken", report.read_text("utf-8"), count=1)
    broken.write_text(text, encoding="utf-8")
    facts = facts_of(broken, tmp_path, 1200)
    assert not all(pixels > 0 for _, pixels, _ in facts["images"])
    broken.write_text(text.replace("</body>", "<script>x</script></body>"), encoding="utf-8")
    assert opened(broken, tmp_path / "other")[1]
