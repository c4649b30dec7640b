"""Every mail in a real Chromium, as wide as a mail and as a phone, light and dark: nothing is cut off or unreadable."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.unit.notifiers.every_mail import MAILS, inspection

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LONG = "redis_evt_" + "A" * 120
#: The lowest contrast of a text with what is behind it (WCAG 2, level AA, is 4.5; bold and large text needs 3).
CONTRAST = """
() => {
  const rgb = text => text.match(/[0-9.]+/g).map(Number);
  const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
  return Math.min(...texts.map(e => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next((path for path in map(shutil.which, BROWSERS) if path), None)
    assert executable, "no Chromium: `make setup FOR=--tests` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(640, "light"), (375, "dark")])
def test_every_mail_fits_and_can_be_read(browser: Browser, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: said.append(request.url))
    for name, mail in MAILS.items():
        page.set_content(mail(LONG).html)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is cut off"
        assert page.evaluate(CONTRAST) >= 4.5, f"{name} cannot be read"
    assert said == [], "a mail loads nothing and runs nothing"
    page.close()


def test_the_inspection_prints_on_a4(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(inspection(LONG).html)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 without its margins, at 96 dots an inch
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    assert b"/MediaBox [0 0 594" in page.pdf(prefer_css_page_size=True)
    page.close()
