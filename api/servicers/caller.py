"""Who calls `cumulus.v1.Agent`: the worker that the call's certificate is of. Pure but for the port.

Every method that names a worker asks `admit` before anything else; `agent.py` makes one object a
call. Where agents come without certificates their token says whose it is, or nothing on one machine.
"""

from __future__ import annotations

from ...crd_like_specs.errors import ForbiddenError, UnauthenticatedError
from ..auth import Role
from ..frames import NodeReport
from ..interceptor import Context, current
from ..ports import IdentityPort


class Caller:
    """One call. identities: None where agents come without certificates."""

    def __init__(self, identities: IdentityPort | None, context: Context) -> None:
        self._identities = identities
        self._certificate = _certificate(context) if identities is not None else b""

    async def admit(self, worker: str) -> None:
        """Return if the caller speaks for this worker.

        ForbiddenError where its certificate or token is another worker's, UnauthenticatedError
        where the certificate is not on record (any more).
        """
        holder = current().holder
        if holder is not None and holder.role is Role.AGENT and holder.owner not in ("", worker):
            raise ForbiddenError(f"the token is of worker {holder.owner}, not of {worker}")
        if self._identities is not None:
            await self._identities.admit(worker, self._certificate)

    def admit_report(self, report: NodeReport) -> None:
        """ForbiddenError where the worker says to be a node that is another worker's."""
        if self._identities is not None:
            self._identities.admit_node(report.worker, report.status.node_id)

    async def renew(self, csr: bytes) -> bytes:
        """The next certificate (PEM) for whoever the present one is of."""
        if self._identities is None:
            raise ForbiddenError("there are no certificates to renew: agents come by token here")
        return await self._identities.renew(self._certificate, csr)


def _certificate(context: Context) -> bytes:
    """PEM, as TLS verified it."""
    found = context.auth_context().get("x509_pem_cert") or [b""]
    certificate = bytes(found[0])
    if not certificate:
        raise UnauthenticatedError("the call comes without a worker's certificate")
    return certificate
