"""A real Chromium without a window, one for all tests of a process; `conftest.py` takes the fixtures from here."""

from __future__ import annotations

import json
import shutil

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1200",
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A real Chromium without a window, with a profile of its own, that records what it requests."""
    if not (CHROMIUM and shutil.which("chromedriver")):
        pytest.skip("no chromium and chromedriver here")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def show(chromium, tmp_path):
    """Show a page from a file; what was requested and complained about before is forgotten."""

    def show(page):
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        for kind in ("browser", "performance"):
            chromium.get_log(kind)
        chromium.get(path.as_uri())
        return chromium

    return show


@pytest.fixture
def phone(chromium):
    """The window of a phone, for one test."""
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    yield chromium
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def find(driver, selector):
    """The elements that a selector finds."""
    return driver.find_elements("css selector", selector)


def width_scrolled(driver):
    """How many pixels the page is wider than its window."""
    return driver.execute_script("const d = document.documentElement; return d.scrollWidth - d.clientWidth")


def requested(driver):
    """Every address that the page asked for, itself included; the browser's own start page is not meant."""
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    requests = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return [each["request"]["url"] for each in requests if each["documentURL"].startswith("file:")]
