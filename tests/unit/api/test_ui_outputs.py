"""What a job left, on its page in the dashboard: listed with links, given to those who see the job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from .ownership_kit import SECRETS, House, leave


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as one:
        await one.fill()
        await leave(one, "train", tmp_path, weights__model_d_pth=b"weights", log=b"lines")
        yield one


async def test_the_page_has_links_and_they_lead_to_the_files(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.web) as web:
        hers = {"authorization": f"Bearer {SECRETS['hers']}"}
        page = await web.get("/ui/job/train", headers=hers)
        links = [part.split('"')[0] for part in page.text.split('<a href="')[1:]]
        links = [link for link in links if "/outputs/" in link]
        assert len(links) == 2
        for link in links:
            whole = await web.get(link, headers=hers)
            assert whole.status_code == 200
            assert whole.headers["content-disposition"].startswith("attachment")
            assert "default-src 'none'" in whole.headers["content-security-policy"]
            part = await web.get(link, headers={**hers, "range": "bytes=1-"})
            assert (part.status_code, part.content) == (206, whole.content[1:])
            tag = {**hers, "if-none-match": whole.headers["etag"]}
            assert (await web.get(link, headers=tag)).status_code == 304
            his = {"authorization": f"Bearer {SECRETS['his']}"}
            assert (await web.get(link, headers=his)).status_code == 404
            assert (await web.get(link)).status_code == 401
