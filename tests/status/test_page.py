"""The status page in a real Chromium."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from kandji_uploader.models import Stage
from kandji_uploader.status.html import render
from kandji_uploader.status.models import AppStatus
from kandji_uploader.status.summary import summarise
from tests.status.conftest import requested
from tests.status.samples import HOSTILE, NOW, apps, hostile, mixed, record


def app(*records, name="Google Drive", **further):
    return AppStatus(name, summarise(records, NOW), Stage.PROD, "90.0", **further)


def visible(driver):
    """The first column of the rows that are shown."""
    return driver.execute_script(
        "return [...document.querySelectorAll('#macs tbody tr')].filter(r => r.offsetParent)"
        ".map(r => r.cells[0].textContent)"
    )


def column(driver, number):
    return driver.execute_script(
        "return [...document.querySelectorAll('#macs tbody tr')].map(r => r.cells[arguments[0]].textContent)", number
    )


def click(driver, heading):
    driver.execute_script(
        "[...document.querySelectorAll('th button')].find(b => b.textContent === arguments[0]).click()", heading
    )


def choose(driver, field, value):
    driver.execute_script(
        "const f = document.getElementById(arguments[0]); f.value = arguments[1];"
        "f.dispatchEvent(new Event('input', {bubbles: true}))",
        field,
        value,
    )


def find(driver, selector):
    return driver.find_elements("css selector", selector)


class TestInTheBrowser:
    def test_nothing_is_requested_but_the_page_and_nothing_is_wrong(self, show):
        driver = show(render(apps(), NOW))
        assert driver.get_log("browser") == []
        assert [address for address in requested(driver) if not address.startswith("data:")] == [driver.current_url]

    def test_there_is_one_bar_per_app_as_wide_as_the_shares(self, show):
        driver = show(render(apps(), NOW))
        bars = find(driver, "svg.bar")
        assert [bar.get_attribute("aria-label") for bar in bars] == [
            "317 PASS, 42 PENDING, 15 INCOMPATIBLE, 38 ERROR",
            "5 PASS, 1 PENDING, 1 INCOMPATIBLE, 2 ERROR",
            "48 PASS",
            "no Macs",
        ]
        whole = bars[0].rect["width"]
        parts = [part.rect["width"] / whole for part in bars[0].find_elements("css selector", "rect:not(.hatch)")]
        assert parts == pytest.approx([317 / 412, 42 / 412, 15 / 412, 38 / 412], abs=0.01)

    def test_a_single_mac_in_trouble_is_seen_among_many(self, show):
        driver = show(render([app(*(record(number) for number in range(5000)), record(9, "ERROR"))], NOW))
        assert find(driver, "svg.bar rect.error")[0].rect["width"] > 2
        assert "<1 %" in find(driver, ".legend")[0].text

    def test_trouble_comes_first(self, show):
        driver = show(render(apps(), NOW))
        statuses = column(driver, 3)[:412]
        assert statuses[:38] == ["ERROR"] * 38
        assert statuses[-1] == "PASS"

    def test_typing_filters_by_every_word(self, show):
        driver = show(render(apps(), NOW))
        field = find(driver, "#text")[0]
        field.send_keys("lab connection LOST")
        rows = visible(driver)
        assert 0 < len(rows) < 38
        assert find(driver, "#shown")[0].text == f"{len(rows)} of 469 rows"
        field.send_keys("\ue003" * 20)
        assert len(visible(driver)) == 469

    def test_app_and_status_filter_together(self, show):
        driver = show(render(apps(), NOW))
        choose(driver, "app", "1")
        assert len(visible(driver)) == 9
        choose(driver, "status", "ERROR")
        assert len(visible(driver)) == 2
        choose(driver, "app", "")
        assert len(visible(driver)) == 40

    def test_headings_sort_up_and_down_and_say_so(self, show):
        versions = ["1.10", "1.9", "", "1.2"]
        logs = [f"Installed version '{version}' less than" if version else "" for version in versions]
        driver = show(render([app(*(record(n, last_audit_log=log) for n, log in enumerate(logs)))], NOW))
        click(driver, "Version")
        assert column(driver, 4) == ["1.2", "1.9", "1.10", ""]
        assert find(driver, "th")[4].get_attribute("aria-sort") == "ascending"
        click(driver, "Version")
        assert column(driver, 4) == ["1.10", "1.9", "1.2", ""]
        assert find(driver, "th")[4].get_attribute("aria-sort") == "descending"
        click(driver, "Mac")
        assert column(driver, 0) == [f"Mac 0000{number}" for number in range(4)]
        assert [each.get_attribute("aria-sort") for each in find(driver, "th")][1:] == [None] * 6

    def test_reports_sort_by_age_and_not_by_their_words(self, show):
        driver = show(render([app(*(record(number) for number in (100, 2, 30, 0)), record(7, reported_at=""))], NOW))
        click(driver, "Last report")
        assert column(driver, 5) == ["just now", "2 hours ago", "1 day ago", "4 days ago", "never"]

    def test_sorting_works_from_the_keyboard(self, show):
        driver = show(render([app(record(2), record(1))], NOW))
        find(driver, "th button")[0].send_keys("\ue007")
        assert column(driver, 0) == ["Mac 00001", "Mac 00002"]

    def test_a_filter_survives_sorting(self, show):
        driver = show(render(apps(), NOW))
        choose(driver, "app", "1")
        click(driver, "Mac")
        assert visible(driver) == [f"Mac {number:05}" for number in range(9)]

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_stands_out_in_light_and_dark(self, show, scheme):
        driver = show(render(apps(), NOW))
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        for selector in ("h1", ".card h3", ".card .soft", ".facts h4", "td", "th button", ".filters output"):
            assert _contrast(driver, selector) >= 4.5, selector
        ground = _luminance(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
        assert (ground < 0.1) is (scheme == "dark")

    def test_a_narrow_window_does_not_scroll_sideways(self, show):
        driver = show(render([*apps(), *hostile()], NOW))
        driver.set_window_size(500, 900)
        try:
            wide, seen = driver.execute_script(
                "const d = document.documentElement; return [d.scrollWidth, d.clientWidth]"
            )
            assert wide <= seen
        finally:
            driver.set_window_size(1280, 1200)

    def test_controls_have_names(self, show):
        driver = show(render(apps(), NOW))
        names = [each.accessible_name for each in find(driver, "input, select, th button, svg.bar, [role=region], a")]
        assert len(names) > 15
        assert all(names)

    def test_a_thousand_macs_filter_quickly(self, show):
        many = [replace(each, figures=summarise(mixed(10_000), NOW)) for each in apps()[:3]]
        driver = show(render(many, NOW))
        assert len(visible(driver)) == 3000
        took = driver.execute_script(
            "const f = document.getElementById('text'); f.value = 'lab'; const t = performance.now();"
            "f.dispatchEvent(new Event('input')); return performance.now() - t"
        )
        assert took < 1500, "milliseconds"
        assert find(driver, "footer")[0].text.startswith("27,000 more rows left out")


class TestHostileNames:
    def test_no_name_becomes_markup_or_code(self, show):
        driver = show(render(hostile(), NOW))
        assert driver.title == "Custom Apps: fleet status"
        assert driver.get_log("browser") == []
        assert [address for address in requested(driver) if not address.startswith("data:")] == [driver.current_url]
        counts = {selector: len(find(driver, selector)) for selector in ("script", "img", "h1", "table", "[onerror]")}
        assert counts == {"script": 1, "img": 0, "h1": 1, "table": 1, "[onerror]": 0}
        assert find(driver, "[onmouseover]") == []

    def test_names_are_shown_as_they_are(self, show):
        driver = show(render(hostile()[:1], NOW))
        expected = {name for name in HOSTILE if name and name.isprintable()}
        assert expected <= set(column(driver, 0))
        assert "id-11" in column(driver, 0), "a Mac without a name is called by its id"

    def test_what_turns_the_direction_of_a_line_is_not_shown(self):
        assert "\u202e" not in render(hostile(), NOW)

    def test_links_lead_to_https_only(self, show):
        assert find(show(render(hostile(), NOW)), "a") == []

    def test_even_a_script_that_got_in_would_not_run(self, show):
        page = render(apps(), NOW).replace("</main>", "<script>document.title='owned'</script></main>")
        driver = show(page)
        assert driver.title == "Custom Apps: fleet status"
        assert any("Content Security Policy" in entry["message"] for entry in driver.get_log("browser"))


class TestText:
    def test_every_element_is_closed(self):
        parser = _Nesting()
        parser.feed(render([*apps(), *hostile()], NOW))
        assert parser.open == []

    def test_lone_surrogates_do_not_break_the_file(self):
        page = render([app(record(1, mac_name="\ud83d bad"))], NOW)
        assert "\ufffd bad" in page.encode("utf-8").decode("utf-8")

    def test_the_same_figures_give_the_same_page(self):
        assert render(apps(), NOW) == render(apps(), NOW)

    def test_no_apps(self):
        assert "0 Custom Apps" in render([], NOW)


class _Nesting(HTMLParser):
    """Raises where an element is closed that is not open."""

    EMPTY = frozenset({"meta", "link", "input"})

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _luminance(colour):
    channels = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(driver, selector):
    """The ratio of WCAG between a text and what is behind it."""
    text, ground = driver.execute_script(
        "let e = document.querySelector(arguments[0]); const text = getComputedStyle(e).color;"
        "while (getComputedStyle(e).backgroundColor === 'rgba(0, 0, 0, 0)') e = e.parentElement;"
        "return [text, getComputedStyle(e).backgroundColor]",
        selector,
    )
    light, dark = sorted((_luminance(text), _luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
