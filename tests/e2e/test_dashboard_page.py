"""The page in Chromium over made-up fleets: hostile words, keys, light and dark, large fleets, logins.

With CUMULUS_SCREENSHOTS=folder pictures are left there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import ENTER, ESCAPE, Browser, browsing
from ctl import wait_for
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.overview import Board, WorkerNow
from cumulus.crd_like_specs.job import Phase, WorkerReason
from cumulus.crd_like_specs.meta import Condition
from dashboard_kit import Served, a_fleet, a_job, a_worker, samples

HOSTILE = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror='window.pwned=1'>",
    '"><svg onload="window.pwned=1">',
    "' onmouseover='window.pwned=1' autofocus onfocus='window.pwned=1",
    "</td></tr></table><iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<a href='javascript:window.pwned=1'>x</a><form action=//evil.example><button>",
    "<template><script>window.pwned=1</script></template><math><mtext><style><img src=x onerror=window.pwned=1>",
    "\u202e\u0000\x1b[31m<b>bold</b>&lt;i&gt;",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("chromium"), width=1600) as one:
        yield one


@pytest.fixture(autouse=True)
def as_new(browser: Browser) -> Iterator[None]:
    """Light, nobody logged in, nothing remembered."""
    browser.scheme("light")
    yield
    browser.run("localStorage.clear()")
    browser.driver.delete_all_cookies()
    browser.complaints()


def picture(browser: Browser, name: str) -> None:
    folder = os.environ.get("CUMULUS_SCREENSHOTS")
    if folder:
        browser.run("document.activeElement.blur(); scrollTo(0, 0)")
        browser.picture(Path(folder) / f"{name}.png")


def focused(browser: Browser) -> str:
    return str(browser.run("return document.activeElement.textContent"))


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_stay_words(browser: Browser, words: str) -> None:
    job = a_job("hello", Phase.RUNNING, reason=words, message=words, worker="w", devices=(0,))
    meta = job.metadata.model_copy(update={"labels": {words: words}, "owner": words})
    spec = job.spec.model_copy(update={"image": words, "command": (words,)})
    conditions = (Condition(type=words, status=False, message=words),)
    status = job.status.model_copy(update={"conditions": conditions})
    job = job.model_copy(update={"metadata": meta, "spec": spec, "status": status})
    worker = a_worker("w", 1)
    devices = tuple(
        d.model_copy(update={"name": words, "reason": words}) for d in worker.status.devices
    )
    changed = {"devices": devices, "conditions": conditions}
    worker = worker.model_copy(update={"status": worker.status.model_copy(update=changed)})
    shown = Board(now=time.time(), jobs=(job,), running=1, workers=(WorkerNow(worker, {0: 500}),))
    with Served(replace(shown, jobs=(), workers=())) as site:
        site.jobs.summary = words
        site.jobs.reasons = (WorkerReason(worker="w", reason=words, fix=words),)
        browser.open(site.url)
        browser.see("#live", "live")
        site.call(lambda: site.overview.change(shown))  # over the stream
        browser.see("#job-hello a").click()
        site.call(lambda: site.jobs.say(f"{words}\n"))
        browser.see("#log .line")
        browser.see("#why", words[-5:])
        browser.open(f"{site.url}/ui/job/hello")  # and as a page
        browser.see("#log .line")
        assert browser.run("return window.pwned") is None
        planted = "main img, #panel img, iframe, svg, math, form[action^='//'], b.x, a[href^=java]"
        assert browser.all(planted) == []
        assert browser.complaints() == []


def test_everything_by_keyboard(browser: Browser) -> None:
    with Served(a_fleet(jobs=24, devices=8, now=time.time())) as site:
        browser.open(site.url)
        browser.see("#live", "live")
        names = browser.texts("#jobs .name")
        browser.press("j", "j", "j", "k")
        assert focused(browser) == names[1]
        outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        browser.press(ENTER)
        browser.see("#panel-title", names[1])
        assert browser.run("return location.pathname") == f"/ui/job/{names[1]}"
        browser.press(ESCAPE)
        wait_for(lambda: browser.run("return document.getElementById('panel').hidden"))
        assert focused(browser) == names[1]
        browser.press("/")
        browser.press(*names[-1])
        shown = "return [...document.querySelectorAll('#jobs > tr:not([hidden])')].length"
        assert browser.run(shown) == sum(names[-1] in name for name in names)
        browser.press(ESCAPE)
        assert browser.run(shown) == len(names)
        browser.press(ESCAPE)
        browser.press("?")
        assert browser.run("return document.getElementById('help').open")
        browser.press(ESCAPE)
        wait_for(lambda: not browser.run("return document.getElementById('help').open"))
        browser.press("w")
        assert (
            browser.run("return document.querySelector('[name=window]:checked').value") == "21600"
        )
        assert not browser.reloaded
        assert browser.complaints() == []


def test_back_and_forward_open_and_close_the_panel(browser: Browser) -> None:
    with Served(a_fleet(jobs=12, devices=4, now=time.time())) as site:
        browser.open(site.url)
        browser.see("#jobs a").click()
        browser.see("#panel-title")
        browser.driver.back()
        wait_for(lambda: browser.run("return document.getElementById('panel').hidden"))
        browser.driver.forward()
        browser.see("#panel-title")
        assert not browser.reloaded


def test_what_can_be_pointed_at_has_a_name(browser: Browser) -> None:
    with Served(a_fleet(jobs=12, devices=4, now=time.time())) as site:
        browser.open(site.url)
        browser.see("#jobs a").click()
        browser.see("#panel-title")
        nameless = browser.run("""
            return [...document.querySelectorAll("a, button, input:not([type=hidden]), meter, [tabindex]")]
              .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length))
              .map((e) => e.outerHTML)
        """)
        assert nameless == []
        assert browser.run("return document.documentElement.lang") == "en"
        unlabelled = browser.run(
            "return [...document.querySelectorAll('[aria-labelledby]')].filter("
            "(e) => !e.hidden && !document.getElementById(e.getAttribute('aria-labelledby'))).length"
        )
        assert unlabelled == 0


def test_light_and_dark_as_the_system_says_until_chosen_otherwise(browser: Browser) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    now = time.time()
    then = time.strftime("%H:%M UTC", time.gmtime(now + 11 * 60))
    with Served(a_fleet(jobs=60, devices=12, now=now)) as site:
        site.overview.kept = samples(now)
        site.jobs.summary = (
            "asks for 0.5 of a device; none of 3 worker(s) has room now, 3 could take it when idle; "
            f"3 job(s) wait ahead of it; waits for worker gpu-01: fits there by {then} at the "
            "latest (in 11m), when the lease of llama-sft-0 ends"
        )
        site.jobs.reasons = (
            WorkerReason(worker="gpu-00", reason="has too little GPU free (device 0: 0.25)", ever=True, fix="gpu.memory: 0.25"),
            WorkerReason(worker="gpu-01", reason=f"keeps its room from {then} on for asr-train-w3", ever=True),
        )  # fmt: skip
        site.jobs.say(
            *(
                f"epoch {n:3d}  loss {2 / (n + 2):.4f}  {1180 + n * 7 % 40} img/s\n"
                for n in range(40)
            )
        )
        browser.open(site.url)
        browser.see("#live", "live")
        browser.see("#plot-use canvas")
        light = browser.run(background)
        picture(browser, "fleet-light")
        browser.scheme("dark")
        wait_for(lambda: browser.run(background) != light)
        dark = browser.run(background)
        browser.open(site.url)
        browser.see("#plot-use canvas")
        picture(browser, "fleet-dark")
        browser.see("#theme").click()
        assert browser.run(background) == light
        browser.open(site.url)
        assert browser.run(background) == light, "what was chosen is remembered"
        browser.see("#theme").click()
        assert browser.run(background) == dark
        browser.scheme("light")
        assert browser.run(background) == dark
        browser.see("#theme").click()
        browser.see("#jobs tr[data-group=busy] a").click()
        browser.see("#log .line")
        picture(browser, "job-light")
        browser.see("#theme").click()
        browser.see("#jobs tr[data-group=wait] a").click()
        browser.see("#why", "asks for")
        picture(browser, "why-dark")


def test_of_two_hundred_jobs_only_those_that_changed_are_drawn_anew(browser: Browser) -> None:
    shown = a_fleet(jobs=200, devices=100, now=time.time())
    with Served(shown) as site:
        browser.open(site.url)
        browser.see("#live", "live")
        assert len(browser.all("#lanes > li")) == 100
        assert len(browser.all("#jobs > tr")) == len(shown.jobs)
        pieces = "[...document.querySelectorAll('#jobs > tr, #lanes > li')]"
        browser.run(f"for (const piece of {pieces}) piece.drawn = 'before'")
        ended = [job.metadata.name for job in shown.jobs[:50]]
        jobs = tuple(
            a_job(job.metadata.name, Phase.SUCCEEDED, finished_at=shown.now)
            if job.metadata.name in ended
            else job
            for job in shown.jobs
        )
        leases = tuple(one for one in shown.leases if one.spec.job_name not in ended)
        site.call(lambda: site.overview.change(replace(shown, jobs=jobs, leases=leases)))
        browser.see(f"#job-{ended[-1]} .pill.good", "Succeeded")
        anew = browser.run(f"return {pieces}.filter((one) => !one.drawn).map((one) => one.id)")
        rows = {piece for piece in anew if piece.startswith("job-")}
        assert rows == {f"job-{name}" for name in ended}, "how long it takes is told by tests/bench"
        assert 0 < len(anew) - len(rows) <= len(ended), "each lease was on one device"
        assert not browser.reloaded


def test_a_token_is_pasted_once_and_kept_nowhere(browser: Browser) -> None:
    secret = "hers-token-0123456789"
    jobs = (a_job("mine", owner="hers"), a_job("other", owner="him"))
    tokens = Tokens({secret: Holder(Role.SUBMITTER, "hers")})
    with Served(Board(now=time.time(), jobs=jobs), tokens) as site:
        browser.open(f"{site.url}/ui/job/mine")
        assert "mine" not in browser.run("return document.body.innerText")
        picture(browser, "login-light")
        browser.see("#token").send_keys("nonsense-0123456789", ENTER)
        browser.see("[role=alert]", "not valid")
        browser.see("#token").send_keys(secret, ENTER)
        browser.see("#panel-title", "mine")
        browser.see("#live", "live")
        assert secret not in browser.run(
            "return location.href + document.cookie + JSON.stringify(localStorage)"
            " + JSON.stringify(sessionStorage) + document.documentElement.outerHTML"
        )
        (cookie,) = browser.driver.get_cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        browser.see("form[action='/ui/logout'] button").click()
        browser.see("#token")
        browser.open(site.url)
        browser.see("#token")
