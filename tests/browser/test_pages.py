import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Open


def wait_until(page: Any, condition: str, argument: Any = None) -> None:
    """Wait until a JavaScript expression holds; Playwright's own way needs eval, which the page forbids."""
    deadline = time.monotonic() + 10
    while not page.evaluate(condition, argument):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


def seen(page: Any) -> None:
    """Scroll through a page, so that every chart has been near the window, and wait until all are live."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for top in range(0, height, 600):
        page.evaluate("top => scrollTo({top, behavior: 'instant'})", top)
        page.wait_for_timeout(30)
    wait_until(page, "document.querySelectorAll('.plot:not([data-live])').length === 0")


def test_charts_come_alive_and_show_their_values(full: Path, open_page: Open) -> None:
    """All six charts are drawn again by Vega, without eval; pointing at one shows the values at that moment."""
    page = open_page(full)
    seen(page)
    assert page.locator(".plot[data-live]").count() == 6
    assert page.locator(".still").nth(0).is_hidden()
    plot = page.locator(".live").nth(0)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = page.locator("#vg-tooltip-element")
    tip.wait_for(state="visible")
    assert tip.inner_text().split()[0] == "kimg"
    assert "generated against real" in tip.inner_text()


def test_charts_zoom_with_control_and_the_wheel(full: Path, open_page: Open) -> None:
    """Control and the wheel zoom into time, a double click goes back; the wheel alone scrolls the page."""
    page = open_page(full)
    seen(page)
    plot = page.locator(".live").nth(0)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    before = plot.inner_text()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -500)
    page.keyboard.up("Control")
    wait_until(page, "before => document.querySelector('.live').innerText !== before", before)
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    top = page.evaluate("scrollY")
    page.mouse.wheel(0, 300)
    wait_until(page, "top => scrollY > top", top)


def test_the_film_obeys_mouse_and_keyboard(full: Path, open_page: Open) -> None:
    """The last frame is shown first; keys move through the film, the button plays it and stops it."""
    page = open_page(full)
    shown = page.locator("#frames figure:visible")
    assert (shown.count(), page.locator("#moment").inner_text()) == (1, "24.0 kimg")
    page.locator("#scrub").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#moment").inner_text() == "21.0 kimg"
    page.keyboard.press("Home")
    assert (shown.count(), page.locator("#scrub").get_attribute("aria-valuetext")) == (1, "0.0 kimg")
    page.locator("#play").focus()
    page.keyboard.press("Enter")
    assert page.locator("#play").inner_text() == "Pause"
    wait_until(page, "document.getElementById('scrub').value >= 2")
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Play"
    page.locator("#scrub").evaluate("scrub => { scrub.value = 8; scrub.dispatchEvent(new Event('input')); }")
    page.locator("#play").click()
    assert page.locator("#moment").inner_text() == "0.0 kimg"


def test_scores_sort_both_ways(full: Path, open_page: Open) -> None:
    """A column's head sorts by the numbers themselves, then the other way; what has no value comes last."""
    page = open_page(full)
    head = page.locator(".key-numbers thead button", has_text="Value")
    first = page.locator(".key-numbers tbody th").nth(0)
    last = page.locator(".key-numbers tbody th").nth(-1)
    head.click()
    assert ("Kernel distance" in first.inner_text(), "Recall" in last.inner_text()) == (True, True)
    assert page.locator(".key-numbers [aria-sort]").get_attribute("aria-sort") == "ascending"
    head.press("Enter")
    assert ("chet distance" in first.inner_text(), "Recall" in last.inner_text()) == (True, True)


def test_runs_sort_by_their_scores(data_root: Path, open_page: Open) -> None:
    """The page over all runs sorts within a table, and its link leads to the report."""
    page = open_page(data_root / "runs" / "index.html")
    page.locator("thead button", has_text="Kernel distance").click()
    assert page.locator("tbody tr").nth(0).locator("td").nth(3).inner_text().startswith("0.0105")
    page.locator("tbody a").first.click()
    page.wait_for_selector("text=faceloom run report")


def test_without_javascript_everything_is_there(full: Path, open_page: Open) -> None:
    """Still charts, all frames of the film, every table: nothing waits for a script, and no dead control is shown."""
    page = open_page(full, java_script_enabled=False)
    assert page.locator(".still:visible").count() == 6
    assert page.locator("#frames figure:visible").count() == 9
    assert page.locator(".key-numbers tbody tr:visible").count() == 8
    assert page.locator(".controls:visible").count() == 0
    assert page.locator("button:visible").count() == 0
    page.locator("summary", has_text="Numbers").first.click()
    assert page.locator("details[open] table").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(full: Path, bare: Path, data_root: Path, open_page: Open, scheme: str) -> None:
    """At 390 pixels no page scrolls sideways, and its colours follow the scheme."""
    for path in (full, bare, data_root / "runs" / "index.html"):
        page = open_page(path, width=390, height=844, color_scheme=scheme)
        if path == full:
            seen(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert paper == ("rgb(252, 251, 249)" if scheme == "light" else "rgb(21, 23, 26)")


def test_charts_follow_the_colours_of_the_page(full: Path, open_page: Open) -> None:
    """A live chart takes its colours from the page's variables, so dark and light are one drawing."""
    page = open_page(full, color_scheme="dark")
    seen(page)
    strokes = page.locator(".live path[stroke]").evaluate_all("all => all.map(one => getComputedStyle(one).stroke)")
    assert "rgb(185, 160, 230)" in strokes  # --score in the dark


def test_scripts_from_elsewhere_do_not_run(full: Path, browser: Any) -> None:
    """An element that was smuggled into the page is refused by its policy; Vega does without eval."""
    page = browser.new_page()
    page.goto(full.as_uri())
    page.evaluate("""() => {
        window.ran = [];
        window.refused = new Promise(done => document.addEventListener("securitypolicyviolation", done));
        const script = document.createElement("script");
        script.textContent = "window.ran.push(1)";
        document.body.append(script);
    }""")
    assert page.evaluate("window.refused.then(event => event.effectiveDirective)") == "script-src-elem"
    assert page.evaluate("window.ran.length") == 0
    page.close()


def test_print_shows_still_charts_within_the_paper(full: Path, open_page: Open) -> None:
    """On paper the charts are still ones, the film a sheet, and nothing is wider than the page."""
    page = open_page(full)
    seen(page)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 without its margins, at 96 dots an inch
    assert page.locator(".still:visible").count() == 6
    assert page.locator(".live:visible").count() == 0
    assert page.locator("#frames figure:visible").count() == 9
    assert page.locator("nav:visible").count() == 0
    wide = """() => [...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > 689)
        .filter(one => !one.closest('.hide, .skip, script, defs')).map(one => one.tagName + '.' + one.className)"""
    assert page.evaluate(wide) == []
    assert page.pdf(format="A4")[:5] == b"%PDF-"


def test_focus_is_visible(full: Path, open_page: Open) -> None:
    """The first key leads to the link past the contents, and what has the focus has an outline."""
    page = open_page(full)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#play").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
