"""A headless Chromium, Debian's, through Selenium: nothing is downloaded."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="needs the Debian packages chromium and chromium-driver",
)


@contextmanager
def browser(width=1400, height=1600):
    """A driver of a browser whose pages are so many pixels wide and high."""
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(option)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        # for what a script of the page makes: a busy machine runs it some time after the page has loaded
        driver.implicitly_wait(20)
        resize(driver, width, height)
        yield driver
    finally:
        driver.quit()


def resize(driver, width, height=1600):
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
