"""The status page in a real Chromium."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from kandji_uploader.models import Stage
from kandji_uploader.status.html import render
from kandji_uploader.status.models import AppStatus, Candidate
from kandji_uploader.status.summary import summarise
from tests.status.samples import HOSTILE, NOW, apps, hostile, mixed, record
from tests.support.browser import find, requested, width_scrolled


def app(*records, name="Google Drive", **further):
    return AppStatus(name, summarise(records, NOW), Stage.PROD, "90.0", **further)


def made(driver):
    """How many rows there are in the page by now."""
    return driver.execute_script("return document.querySelectorAll('#macs tbody tr').length")


def column(driver, number):
    """A column of every row, those that were not scrolled to as well: the page makes them when it is printed."""
    return driver.execute_script(
        "dispatchEvent(new Event('beforeprint'));"
        "return [...document.querySelectorAll('#macs tbody tr')].map(r => r.cells[arguments[0]].textContent)",
        number,
    )


def visible(driver):
    """The first column of the rows that are shown."""
    return column(driver, 0)


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
        statuses = column(driver, 3)
        assert statuses[:40] == ["ERROR"] * 40
        assert set(statuses[-370:]) == {"PASS"}

    def test_the_app_with_most_macs_in_trouble_comes_first_whatever_the_order_was(self, show):
        driver = show(render(list(reversed(apps())), NOW))
        names = [each.text for each in find(driver, ".card h3")]
        assert names == ["Google Drive", "Google Drive (Test)", "Zoom Workplace", "Firefox"]

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

    def test_a_phone_shows_status_and_reason_without_scrolling_sideways(self, show, phone):
        driver = show(render([*apps(), *hostile()], NOW))
        assert width_scrolled(driver) == 0
        boxes = driver.execute_script(
            "return ['name', 'status', 'reason'].flatMap(name => [...document.querySelectorAll(`td.${name}`)]"
            ".slice(0, 40).map(cell => cell.getBoundingClientRect()).map(box => [box.left, box.right, box.width]))"
        )
        assert len(boxes) == 120
        assert all(left >= 0 and right <= 390 and width > 100 for left, right, width in boxes)

    def test_controls_have_names(self, show):
        driver = show(render(apps(), NOW))
        names = [each.accessible_name for each in find(driver, "input, select, th button, svg.bar, [role=region], a")]
        assert len(names) > 15
        assert all(names)

    def test_rows_are_made_as_they_are_scrolled_to(self, show):
        driver = show(render(apps(), NOW))
        first = made(driver)
        assert 0 < first < 200
        assert find(driver, "#shown")[0].text == "469 of 469 rows"

        def scrolled_to_the_end():
            driver.execute_script("scrollTo(0, document.body.scrollHeight)")
            return made(driver) == 469

        wait_until(scrolled_to_the_end)

    def test_candidates_are_shown_with_what_holds_each(self, show):
        since = NOW - timedelta(days=3)
        candidates = (Candidate("91.0", since, "has been in the test app for 3.0 of 7 days"), Candidate("90.5", since))
        driver = show(render([replace(apps()[1], candidates=candidates)], NOW))
        assert [each.text for each in find(driver, ".steps li")] == [
            "91.0 came 3 days ago: has been in the test app for 3.0 of 7 days",
            "90.5 came 3 days ago: nothing holds it; the next run promotes it",
        ]

    def test_adoption_goes_by_version_and_tells_who_has_what_is_enforced(self, show):
        versions = ["1.10"] * 4 + ["1.9"] * 8 + ["1.11"] * 3
        logs = [*(f"Installed version '{each}' less than" for each in versions), "'Fox.app' not found", ""]
        records = [record(number, last_audit_log=log) for number, log in enumerate(logs)]
        driver = show(render([AppStatus("Fox", summarise(records, NOW), Stage.PROD, "1.10")], NOW))
        lines = [each.text.split()[:2] for each in find(driver, ".adoption li")]
        assert lines == [["1.11", "3"], ["1.10", "4"], ["1.9", "8"], ["not", "installed"]]
        assert find(driver, ".adoption p")[0].text == "1.10 or newer: 44 % (7 of 16 Macs that tell)"
        widths = [each.rect["width"] for each in find(driver, ".adoption rect")]
        assert widths[2] == pytest.approx(2 * widths[1], rel=0.05)


@pytest.fixture(scope="module")
def large():
    """The page of 40 apps on 10,000 Macs each."""
    figures = summarise(mixed(10_000), NOW)
    return render([AppStatus(f"App {number:02}", figures, Stage.PROD, "90.0") for number in range(40)], NOW)


class TestALargeFleet:
    def test_the_page_stays_small_and_says_what_it_leaves_out(self, show, large):
        assert len(large.encode()) < 2_000_000
        driver = show(large)
        assert find(driver, "#shown")[0].text == "1000 of 1000 rows"
        said = find(driver, "footer")[0].text
        assert said.startswith("The worst 1,000 of 400,000 rows. Not in this page: 35,360 ERROR, ")
        assert sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) [A-Z]+", said)) == 399_000

    def test_each_app_has_its_share_of_the_worst_rows(self, show, large):
        driver = show(large)
        assert Counter(column(driver, 1)) == {f"App {number:02} (prod)": 25 for number in range(40)}
        choose(driver, "app", "7")
        assert find(driver, "#shown")[0].text == "25 of 1000 rows; 9,975 more Macs of this app are not in this page"

    def test_it_is_painted_within_a_second(self, show, large):
        driver = show(large)
        painted = wait_until(
            lambda: driver.execute_script("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
        )
        assert painted < 1000, "milliseconds"

    def test_a_keystroke_is_shown_within_a_tenth_of_a_second(self, show, large):
        driver = show(large)
        driver.execute_script(
            "window.took = []; let pressed;"
            "addEventListener('keydown', () => { pressed = performance.now(); }, true);"
            "addEventListener('input', () => { const start = pressed; requestAnimationFrame(() => "
            "setTimeout(() => took.push(performance.now() - start))); }, true);"
        )
        field = find(driver, "#text")[0]
        for letter in "lab lost":
            field.send_keys(letter)
        took = wait_until(lambda: len(found := driver.execute_script("return took")) == 8 and found)
        assert sorted(took)[1] < 100, "milliseconds, where the machine is busy with something else at other letters"
        assert 0 < len(visible(driver)) < 1000


def wait_until(found):
    """What `found` returns as soon as it is anything."""
    until = time.monotonic() + 10
    while not (result := found()):
        assert time.monotonic() < until, "it did not come"
    return result


class TestHostileNames:
    def test_no_name_becomes_markup_or_code(self, show):
        driver = show(render(hostile(), NOW))
        assert driver.title == "Custom Apps: fleet status"
        assert driver.get_log("browser") == []
        assert [address for address in requested(driver) if not address.startswith("data:")] == [driver.current_url]
        counts = {selector: len(find(driver, selector)) for selector in ("script", "img", "h1", "table", "[onerror]")}
        assert counts == {"script": 2, "img": 0, "h1": 1, "table": 1, "[onerror]": 0}
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
