"""Chromium as a person has it, without a window. Debian's packages `chromium` and `chromium-driver`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from ctl import wait_for
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)


class Browser:
    """One window with a profile of its own. trusting: takes any certificate."""

    def __init__(
        self, profile: Path, *, width: int = 1440, height: int = 1000, trusting: bool = False
    ) -> None:
        options = webdriver.ChromeOptions()
        options.accept_insecure_certs = trusting
        for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.binary_location = str(shutil.which("chromium"))
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(str(shutil.which("chromedriver")))
        self.driver = webdriver.Chrome(options, service)

    def open(self, url: str) -> Self:
        """Load a page; a mark is left in it, which a reload would wipe."""
        self.driver.get(url)
        self.run("window.mark = 'left here'")
        return self

    @property
    def reloaded(self) -> bool:
        """Whether the page is another one than was opened."""
        return bool(self.run("return window.mark") != "left here")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        """Every element that a selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """The text of each, hidden or not."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)",
            selector,
        )
        return found

    def see(self, selector: str, text: str = "", seconds: float = 30) -> WebElement:
        """The first that is there with this text in it, once it is."""

        def seen() -> WebElement | None:
            for element, found in zip(self.all(selector), self.texts(selector), strict=False):
                if text in found:
                    return element
            return None

        seen.__doc__ = f"{selector} with {text!r}"
        element = wait_for(seen, seconds)
        assert isinstance(element, WebElement)
        return element

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def scheme(self, name: str) -> None:
        """What the system says: light or dark."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def complaints(self) -> list[str]:
        """What the console says since the last look: refusals of the policy, errors of scripts."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def fetched(self) -> list[str]:
        """Addresses of everything that the page has loaded."""
        found: list[str] = self.run(
            "return performance.getEntriesByType('resource').map((e) => e.name)"
        )
        return found

    def picture(self, path: Path) -> None:
        """What is seen, as PNG."""
        assert self.driver.save_screenshot(str(path))


@contextmanager
def browsing(folder: Path, **how: Any) -> Iterator[Browser]:
    """A browser with an empty profile below the folder."""
    browser = Browser(folder / "profile", **how)
    try:
        yield browser
    finally:
        browser.driver.quit()


ENTER, ESCAPE = Keys.ENTER, Keys.ESCAPE
