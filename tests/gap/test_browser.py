"""The report in a real browser: nothing complains, every picture loads, the text can be read."""

import html
import json
import re
import shutil
import subprocess

import pytest

from gendata.gap.report.page import gap_page
from gendata.page import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

CHECKER = """<script>addEventListener('load', () => {
  const facts = {
    images: [...document.images].map(i => [i.complete, i.naturalWidth, i.alt]),
    width: innerWidth,
    overflow: document.documentElement.scrollWidth - innerWidth,
    text: document.body.innerText,
    graphics: [...document.querySelectorAll('svg')].map(s => s.textContent).join(' '),
    scripts: document.querySelectorAll('script:not(:last-of-type), [onerror]').length,
  };
  parent.document.body.replaceChildren(Object.assign(parent.document.createElement('pre'),
    {id: 'facts', textContent: JSON.stringify(facts)}));
})</script>"""


def opened(path, profile, width=1200):
    """Returns the page's DOM and what the browser had to say."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--disable-sync", f"--user-data-dir={profile}", "--enable-logging=stderr"]
    command += ["--allow-file-access-from-files", f"--window-size={width},900"]
    command += ["--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, timeout=120)
    console = [
        line for line in done.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line
    ]
    return done.stdout.decode("utf-8"), console


@pytest.fixture(scope="module")
def report(tmp_path_factory, report_of_two):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(gap_page(report_of_two), path)
    return path


def facts_of(report, tmp_path, width):
    """Asks a copy that is allowed to run a script, in a frame as wide as wanted.

    A browser's window is never as narrow as a phone.
    """
    copy = tmp_path / "copy.html"
    text = re.sub(
        r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report.read_text("utf-8")
    )
    copy.write_text(text.replace("</body>", CHECKER + "</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    style = f"width: {width}px; height: 900px; border: 0"
    frame.write_text(f'<iframe src="copy.html" style="{style}"></iframe>', encoding="utf-8")
    dom, console = opened(frame, tmp_path / "profile", max(width + 50, 600))
    assert not console
    return json.loads(html.unescape(re.search(r'<pre id="facts">(.*?)</pre>', dom, re.DOTALL)[1]))


def test_the_report_opens_without_a_word_from_the_browser(report, tmp_path):
    dom, console = opened(report, tmp_path / "profile")
    assert not console
    assert "trained on" in dom and "&lt;script&gt;alert(1)&lt;/script&gt;" in dom


@pytest.mark.parametrize("width", [1200, 320])
def test_every_picture_loads_and_every_name_is_text(report, report_of_two, tmp_path, width):
    facts = facts_of(report, tmp_path, width)
    classes, clones = report_of_two.classes, list(report_of_two.clones)
    assert facts["width"] == width
    assert len(facts["images"]) > 2 * 2 * 2 * len(classes)
    assert all(complete and pixels > 0 for complete, pixels, _ in facts["images"])
    alts = " ".join(alt for _, _, alt in facts["images"])
    for name in classes:
        assert name in alts
        assert (name if len(name) <= 28 else name[:27] + "…") in facts["text"]
    for name in clones:
        assert name in facts["text"] and name[:14] in facts["graphics"]
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
