"""`cumulusctl extend`: what it asks, what it says."""

from __future__ import annotations

import pytest
from cumulus.crd_like_specs.errors import ConflictError

from .ctl import Ctl
from .fake_server import FakeServer


def test_a_job_is_extended(ctl: Ctl, server: FakeServer) -> None:
    ctl("apply", ctl.file())
    assert ctl("extend", "hello", "1h30m") == 0
    assert server.called("Extend")[0].seconds == 5400
    assert ctl.out == "job/hello extended by 1h30m: it may last 1h31m30s from its start\n"
    assert ctl("describe", "job", "hello") == 0
    assert "1h31m30s (1h30m of it by extension)" in ctl.out


def test_the_reason_of_a_refusal_is_all_that_is_said(ctl: Ctl, server: FakeServer) -> None:
    ctl("apply", ctl.file())
    server.errors["Extend"] = ConflictError("job 'hello' has ended as Succeeded: apply …")
    assert ctl("extend", "hello", "30m") == 5
    assert ctl.err == "error: job 'hello' has ended as Succeeded: apply …\n"


@pytest.mark.parametrize("by", ["soon", "0", "-5m"])
def test_spans_that_are_none(ctl: Ctl, server: FakeServer, by: str) -> None:
    assert ctl("extend", "hello", "--", by) == 2
    assert "DURATION" in ctl.err
    assert server.calls == []
