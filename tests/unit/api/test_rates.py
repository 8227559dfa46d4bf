"""How often somebody may ask: buckets, addresses, and the gate before every call."""

from __future__ import annotations

import pytest
from cumulus.api.audited import Audited, AuditQuery, Came, query_from_proto, query_to_proto
from cumulus.api.auth import Holder, Role, Tokens, changes, hashed
from cumulus.api.gate import Gate, came_of, came_of_status
from cumulus.api.gen.cumulus.v1 import tenancy_pb2 as pb
from cumulus.api.rates import Buckets, RateLimits, address_of, block_of
from cumulus.crd_like_specs.errors import (
    ForbiddenError,
    TooManyRequestsError,
    UnauthenticatedError,
    ValidationError,
)
from hypothesis import given
from hypothesis import strategies as st

ANN, BOB = "ann-token-0123456789", "bob-token-0123456789"
WRONG = "Bearer wrong-token-0123456789"
TOKENS = {ANN: Holder(Role.SUBMITTER, "ann"), BOB: Holder(Role.ADMIN, "bob")}


class Door(Gate):
    """A gate with a clock that is moved by hand."""

    def __init__(self, limits: RateLimits, *, tokens: bool = True) -> None:
        self.time = 0.0
        known = Tokens(TOKENS) if tokens else None
        super().__init__(known, limits, now=lambda: self.time)

    def ask(self, secret: str = ANN, address: str = "192.0.2.1") -> Holder | None:
        holder = self.enter(f"Bearer {secret}", address)
        self.count(holder, address)
        return holder

    def wait(self, secret: str = ANN, address: str = "192.0.2.1") -> float:
        with pytest.raises(TooManyRequestsError) as caught:
            self.ask(secret, address)
        return caught.value.retry_after


def test_a_burst_and_then_so_many_a_second() -> None:
    buckets = Buckets(2.0, 3)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.4) == pytest.approx(0.1)
    assert buckets.take("a", 0.5) == 0.0
    assert [buckets.take("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert Buckets(0.0, 1).take("a", 0.0) == 0.0


def test_only_so_many_are_remembered() -> None:
    buckets = Buckets(0.001, 1, most=3)
    for key in "abcd":
        assert buckets.take(key, 0.0) == 0.0
    assert len(buckets) == 3
    assert buckets.wait("d", 0.0)
    assert not buckets.wait("a", 0.0)


@given(
    rate=st.floats(0.1, 100),
    burst=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 10), max_size=200),
)
def test_never_more_than_burst_and_rate(rate: float, burst: int, pauses: list[float]) -> None:
    buckets, now, let_in = Buckets(rate, burst), 0.0, 0
    for pause in pauses:
        now += pause
        wait = buckets.take("a", now)
        let_in += not wait
        assert let_in <= burst + now * rate + 1e-6
        if wait:
            assert buckets.wait("a", now + wait + 1e-9) < 1e-6


@pytest.mark.parametrize(
    ("peer", "address", "block"),
    [
        ("ipv4:192.0.2.1:4711", "192.0.2.1", "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:4711", "2001:db8::1", "2001:db8::/64"),
        ("ipv6:[::ffff:192.0.2.1]:1", "::ffff:192.0.2.1", "192.0.2.1"),
        ("unix:/run/cumulus.sock", "local", "local"),
        ("", "local", "local"),
    ],
)
def test_whom_an_address_stands_for(peer: str, address: str, block: str) -> None:
    assert address_of(peer) == address
    assert block_of(address) == block


def test_each_token_has_its_own() -> None:
    door = Door(RateLimits(requests=1, burst=2))
    assert [door.ask() for _ in range(2)] == [TOKENS[ANN]] * 2
    assert door.wait(address="198.51.100.7") == 1.0  # wherever it comes from
    assert door.ask(BOB) == TOKENS[BOB]
    door.time = 1.0
    assert door.ask() == TOKENS[ANN]


def test_guesses_are_slowed_down_and_nobody_is_shut_out() -> None:
    door = Door(RateLimits(wrong_tokens=3))
    door.ask(ANN)
    for _ in range(3):
        with pytest.raises(UnauthenticatedError):
            door.enter(WRONG, "192.0.2.1")
    with pytest.raises(TooManyRequestsError) as caught:
        door.enter(WRONG, "192.0.2.1")
    assert caught.value.retry_after == pytest.approx(20)
    with pytest.raises(TooManyRequestsError):
        door.check_guesses("192.0.2.1")
    assert door.ask(ANN) == TOKENS[ANN]  # it was good from there before
    assert door.wait(BOB) == pytest.approx(20)  # a right guess looks no better than a wrong one
    assert door.ask(BOB, "198.51.100.7") == TOKENS[BOB]
    door.time = 20.0
    assert door.ask(BOB) == TOKENS[BOB]


def test_no_token_is_no_guess() -> None:
    door = Door(RateLimits(wrong_tokens=1))
    for _ in range(5):
        with pytest.raises(UnauthenticatedError):
            door.enter(None, "192.0.2.1")
    assert door.ask() == TOKENS[ANN]


def test_without_tokens_addresses_count_and_this_machine_does_not() -> None:
    door = Door(RateLimits(requests=1, burst=1), tokens=False)
    for address in ("127.0.0.1", "::1", "local"):
        for _ in range(9):
            door.count(door.enter(None, address), address)
    door.count(None, "192.0.2.1")
    with pytest.raises(TooManyRequestsError, match=r"too many requests: ask again in 1\.0 s"):
        door.count(None, "192.0.2.1")
    door.enter(None, "192.0.2.1")


def test_what_comes_of_a_call() -> None:
    assert came_of(None) == (Came.ALLOWED, "")
    assert came_of(ForbiddenError("no")) == (Came.REFUSED, "FORBIDDEN")
    assert came_of(ValidationError("no")) == (Came.FAILED, "VALIDATION")
    codes = [200, 303, 404, 500, 0, 401, 403, 429]
    assert [came_of_status(code)[0].value for code in codes] == [
        *["allowed"] * 2,
        *["failed"] * 3,
        *["refused"] * 3,
    ]


@pytest.mark.parametrize(
    ("method", "noted"),
    [
        ("Cumulus/Submit", True),
        ("Cumulus/Apply", True),
        ("Cumulus/PutBlob", True),
        ("Cumulus/CreateToken", True),
        ("Tenancy/SetQuota", True),
        ("Join/Join", True),
        ("Agent/Renew", True),
        ("Agent/Connect", False),
        ("Agent/PutArtifact", False),
        ("Join/Authority", False),
        ("Cumulus/Plan", False),
        ("Cumulus/HasBlob", False),
        ("Cumulus/ListTokens", False),
        ("Tenancy/Audit", False),
        ("Outputs/Read", False),
    ],
)
def test_what_is_worth_a_line(method: str, noted: bool) -> None:
    assert changes(f"/cumulus.v1.{method}") is noted


def test_a_question_travels_whole() -> None:
    query = AuditQuery("ann", "vision", "Cancel", "train", "refused", "192.0.2.1", 5.0, 7, 9, True)
    assert query_from_proto(query_to_proto(query)) == query
    with pytest.raises(ValidationError, match="expected allowed, refused, failed"):
        query_from_proto(pb.AuditRequest(outcome="perhaps"))
    line = Audited("grpc", "Cumulus/Cancel", "allowed", who="ann", resource="train", sequence=8)
    assert AuditQuery(who="ann", method="cancel", resource="tra", after=7).takes(line)
    assert not AuditQuery(after=8).takes(line)
    assert not AuditQuery(outcome="refused").takes(line)


def test_the_gate_keeps_hashes_only() -> None:
    door = Door(RateLimits())
    door.ask()
    assert ANN not in repr(vars(door))
    assert list(door._good) == [("192.0.2.1", hashed(ANN))]
