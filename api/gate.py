"""Who comes in, how often, and a line for whoever changed something or was refused. One for gRPC and
HTTP alike, so that what is counted is counted together. I/O: through the journal's port only.

Asked by `interceptor.py` and `web/guard.py`, before anything else is done with a call.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ..crd_like_specs.errors import (
    CumulusError,
    ForbiddenError,
    QuotaExceededError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from .audited import CHARS, Audited, AuditPort, Came
from .auth import Holder, Tokens, key_of
from .rates import LOCAL, Buckets, RateLimits, block_of, is_loopback
from .status import reason_of

_REFUSALS: Final = (
    UnauthenticatedError,
    ForbiddenError,
    TooManyRequestsError,
    QuotaExceededError,
)
GOOD: Final = 10_000
"""Tokens that are remembered with the address they were good from."""


class Gate:
    """tokens: None lets everybody in; now: seconds of a clock that never goes back; audit: None keeps
    no journal.
    """

    def __init__(
        self,
        tokens: Tokens | None,
        limits: RateLimits | None = None,
        audit: AuditPort | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = limits or RateLimits()
        self.tokens = tokens
        self.audit = audit
        self._now = now
        self._asked = Buckets(limits.requests, max(1, limits.burst))
        self._wrong = Buckets(limits.wrong_tokens / 60, max(1.0, limits.wrong_tokens))
        self._good: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def enter(self, authorization: str | None, address: str) -> Holder | None:
        """Who holds the value of an `authorization` header; None where nobody is asked for a token.
        UnauthenticatedError, TooManyRequestsError for too many wrong ones.
        """
        if self.tokens is None:
            return None
        key = key_of(authorization)
        block = block_of(address)
        wait = self._wrong.wait(block, self._now())
        if wait and (block, key) not in self._good:
            raise _later("wrong tokens came from this address", wait)
        try:
            holder = self.tokens.known(key)
        except UnauthenticatedError:
            self.wrong(address)
            raise
        self._good[block, key] = None
        self._good.move_to_end((block, key))
        while len(self._good) > GOOD:
            self._good.popitem(last=False)
        return holder

    def count(self, holder: Holder | None, address: str) -> None:
        """A call of this holder, or from this address. TooManyRequestsError where it is one too many.

        Where nobody is asked for a token those from this machine are not counted: they are its user's.
        """
        if holder is None and self.tokens is None and (address == LOCAL or is_loopback(address)):
            return
        key = block_of(address)
        if holder is not None:
            key = f"token {holder.token or f'{holder.role.value} {holder.owner}'}"
        wait = self._asked.take(key, self._now())
        if wait:
            raise _later("requests", wait)

    def check_guesses(self, address: str) -> None:
        """TooManyRequestsError while no more wrong tokens may come from there."""
        wait = self._wrong.wait(block_of(address), self._now())
        if wait:
            raise _later("wrong tokens came from this address", wait)

    def wrong(self, address: str) -> None:
        """A wrong token came from there."""
        self._wrong.take(block_of(address), self._now())

    def note(
        self,
        via: str,
        method: str,
        *,
        address: str,
        holder: Holder | None,
        came: tuple[Came, str],
        changes: bool,
        resource: str = "",
        request_id: str = "",
    ) -> None:
        """Keep a line of a call that changes something, or that was refused. came: see `came_of`."""
        outcome, reason = came
        if self.audit is None or not (changes or outcome is Came.REFUSED):
            return
        viewer = holder.viewer if holder is not None else None
        self.audit.note(
            Audited(
                via=via,
                method=_cut(method),
                outcome=outcome.value,
                address=address,
                who=viewer.who if viewer else "",
                role=holder.role.value if holder else "",
                token=holder.token if holder else "",
                project=viewer.owner if viewer else "",
                resource=_cut(resource),
                reason=reason,
                request_id=request_id,
            )
        )


def came_of(error: CumulusError | None) -> tuple[Came, str]:
    """What came of a call that ended with this error, and why in a word."""
    if error is None:
        return Came.ALLOWED, ""
    refused = isinstance(error, _REFUSALS)
    return (Came.REFUSED if refused else Came.FAILED), reason_of(error)


def came_of_status(code: int) -> tuple[Came, str]:
    """The same of an HTTP status; 0: there was no answer."""
    if 0 < code < 400:
        return Came.ALLOWED, ""
    refused = code in (401, 403, 429)
    return (Came.REFUSED if refused else Came.FAILED), f"HTTP_{code}"


def _later(what: str, wait: float) -> TooManyRequestsError:
    return TooManyRequestsError(
        f"too many {what}: ask again in {max(0.1, wait):.1f} s", retry_after=wait
    )


def _cut(text: str) -> str:
    """One line of it, not too long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= CHARS else f"{flat[: CHARS - 1]}…"
