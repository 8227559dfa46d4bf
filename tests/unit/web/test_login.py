"""Who is let in to the dashboard, and what a browser is told to keep."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.overview import Board
from cumulus.api.web.login import MOST_BYTES
from cumulus.api.web.sessions import LASTS, MOST, Sessions
from cumulus.crd_like_specs.errors import ForbiddenError, UnauthenticatedError
from dashboard_kit import NOW, FakeJobs, FakeOverview, a_job, app_over

SECRETS = {name: f"{name}-token-0123456789" for name in ("hers", "boss", "agent")}
HTML = {"accept": "text/html"}


def tokens() -> Tokens:
    return Tokens(
        {
            SECRETS["hers"]: Holder(Role.SUBMITTER, "hers"),
            SECRETS["boss"]: Holder(Role.ADMIN),
            SECRETS["agent"]: Holder(Role.AGENT),
        }
    )


class House:
    """The application with tokens, and a browser before it."""

    def __init__(self, scheme: str = "http") -> None:
        jobs = (a_job("mine", owner="hers"), a_job("other", owner="him"))
        self.overview = FakeOverview(Board(now=NOW, jobs=jobs))
        app = app_over(FakeJobs(self.overview), tokens())
        transport = httpx.ASGITransport(app)
        self.browser = httpx.AsyncClient(transport=transport, base_url=f"{scheme}://controller")

    def seen(self) -> list[tuple[str, bool]]:
        """Whose eyes the page was made for: owner, and whether for its own only."""
        return [(viewer.owner, viewer.own_only) for viewer in self.overview.viewers]

    async def login(self, who: str, **more: str) -> httpx.Response:
        form = {"token": SECRETS[who], **more}
        return await self.browser.post("/ui/login", data=form)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    one = House()
    async with one.browser:
        yield one


@pytest.mark.parametrize("path", ["/", "/ui/job/mine"])
async def test_without_a_session_a_browser_sees_the_login_only(house: House, path: str) -> None:
    answer = await house.browser.get(path, headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/ui/login?next=")
    assert "mine" not in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/ui/live", "/ui/series", "/ui/job/mine", "/ui/job/mine/live"]
)
async def test_what_is_no_page_is_refused(house: House, path: str) -> None:
    answer = await house.browser.get(path)
    assert answer.status_code == 401
    assert "mine" not in answer.text


async def test_htmx_is_told_to_go_to_the_login(house: House) -> None:
    answer = await house.browser.get("/ui/job/mine", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/ui/login")


async def test_a_pasted_token_begins_a_session_that_holds_no_token(house: House) -> None:
    answer = await house.login("boss", next="/ui/job/mine")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/job/mine")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert SECRETS["boss"] not in cookie
    assert (await house.browser.get("/", headers=HTML)).status_code == 200
    assert house.seen() == [("", False)]


async def test_with_tls_no_other_host_can_set_the_cookie() -> None:
    house = House("https")
    async with house.browser:
        cookie = (await house.login("boss")).headers["set-cookie"]
        assert cookie.startswith("__Host-cumulus=")
        assert "Secure" in cookie.split("; ")
        assert (await house.browser.get("/")).status_code == 200


async def test_a_submitter_sees_its_own_jobs_only(house: House) -> None:
    await house.login("hers")
    assert (await house.browser.get("/ui/job/mine", headers={"hx-request": "1"})).status_code == 200
    other = await house.browser.get("/ui/job/other", headers={"hx-request": "1"})
    assert (other.status_code, "not found" in other.text) == (404, True)
    assert (await house.browser.get("/ui/job/other/live")).status_code == 404
    await house.browser.get("/")
    assert house.seen() == [("hers", True)]


@pytest.mark.parametrize(("who", "code"), [("agent", 403), ("nobody", 401)])
async def test_who_is_not_let_in_is_told_why(house: House, who: str, code: int) -> None:
    SECRETS.setdefault("nobody", "<b>nonsense-0123456789")
    answer = await house.login(who)
    assert answer.status_code == code
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert SECRETS[who] not in answer.text


async def test_a_cookie_opens_no_api(house: House) -> None:
    await house.login("boss")
    for path in ("/v1/jobs", "/metrics"):
        assert (await house.browser.get(path)).status_code == 401


async def test_a_bearer_token_opens_the_page_too(house: House) -> None:
    headers = {"authorization": f"Bearer {SECRETS['boss']}"}
    assert (await house.browser.get("/", headers=headers)).status_code == 200


async def test_logging_out_ends_the_session_itself(house: House) -> None:
    await house.login("boss")
    kept = dict(house.browser.cookies)
    assert kept
    assert (await house.browser.post("/ui/logout")).headers["location"] == "/ui/login"
    house.browser.cookies.update(kept)
    answer = await house.browser.get("/ui/series")
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
)
async def test_no_other_site_can_log_anybody_in_or_out(
    house: House, headers: dict[str, str]
) -> None:
    form = {"token": SECRETS["boss"]}
    assert (await house.browser.post("/ui/login", data=form, headers=headers)).status_code == 403
    await house.login("boss")
    assert (await house.browser.post("/ui/logout", headers=headers)).status_code == 403
    assert (await house.browser.get("/ui/series")).status_code == 200


async def test_our_own_form_is_taken(house: House) -> None:
    headers = {"origin": "http://controller", "sec-fetch-site": "same-origin"}
    form = {"token": f"  {SECRETS['boss']}\n"}
    answer = await house.browser.post("/ui/login", data=form, headers=headers)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/ui/job/../x", "/v1/jobs"]
)
async def test_the_login_leads_nowhere_else(house: House, target: str) -> None:
    assert (await house.login("boss", next=target)).headers["location"] == "/"
    page = await house.browser.get("/ui/login", params={"next": target})
    assert target not in page.text


async def test_a_form_that_is_too_large_is_not_read(house: House) -> None:
    answer = await house.browser.post("/ui/login", data={"token": "x" * MOST_BYTES})
    assert answer.status_code == 400


async def test_without_tokens_there_is_nothing_to_log_in_to() -> None:
    app = app_over(FakeJobs(FakeOverview()))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://c"
    ) as browser:
        assert (await browser.get("/")).status_code == 200
        assert (await browser.get("/ui/login")).headers["location"] == "/"
        assert (await browser.post("/ui/login", data={"token": "x"})).status_code == 303
        assert "Log out" not in (await browser.get("/")).text


@pytest.mark.parametrize(
    ("host", "code"),
    [
        *(
            ("localhost:8080", 200),
            ("127.0.0.1:8080", 200),
            ("[::1]:8080", 200),
            ("localhost", 200),
        ),
        *(("rebound.example:8080", 403), ("rebound.example", 403), ("", 403), ("10.0.0.1:80", 403)),
    ],
)
async def test_a_page_for_this_machine_is_no_page_of_another_site(host: str, code: int) -> None:
    app = app_over(FakeJobs(FakeOverview()), local=True)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://c"
    ) as browser:
        for path in ("/", "/ui/series"):
            assert (await browser.get(path, headers={"host": host})).status_code == code
        assert (await browser.get("/healthz", headers={"host": host})).status_code == 200


async def test_with_tokens_a_proxy_may_lead_here_by_any_name() -> None:
    app = app_over(FakeJobs(FakeOverview()), tokens(), local=True)
    headers = {"authorization": f"Bearer {SECRETS['boss']}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://c"
    ) as browser:
        assert (await browser.get("/", headers=headers)).status_code == 200


def test_a_session_ends_with_its_time_with_its_token_and_by_number() -> None:
    known = tokens()
    sessions = Sessions(known)
    first = sessions.begin(SECRETS["hers"], NOW)
    assert sessions.holder(first, NOW + LASTS - 1).owner == "hers"
    with pytest.raises(UnauthenticatedError, match="over"):
        sessions.holder(first, NOW + LASTS)
    with pytest.raises(UnauthenticatedError):
        sessions.holder(first, NOW)  # it was forgotten
    with pytest.raises(UnauthenticatedError):
        sessions.holder("", NOW)
    with pytest.raises(ForbiddenError):
        sessions.begin(SECRETS["agent"], NOW)
    oldest = sessions.begin(SECRETS["hers"], NOW)
    for _ in range(MOST):
        newest = sessions.begin(SECRETS["hers"], NOW)
    with pytest.raises(UnauthenticatedError):
        sessions.holder(oldest, NOW)
    known._holders = ()  # the token is revoked
    with pytest.raises(UnauthenticatedError):
        sessions.holder(newest, NOW)
