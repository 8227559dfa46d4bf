"""`cumulus.v1.Join`, what a machine calls to become a worker. I/O through the port only.

Registered by `server.py` on the clients' listener where the controller has an authority. Callers
have no role: Authority gives what is public, and Join is let in by its own token alone.
"""

from __future__ import annotations

from typing import Final

from ...crd_like_specs.errors import UnauthenticatedError
from ..gen.cumulus.v1 import join_pb2 as pb
from ..gen.cumulus.v1 import join_pb2_grpc
from ..interceptor import Context
from ..ports import JoinPort

_SCHEME: Final = "bearer "


class JoinServicer(join_pb2_grpc.JoinServicer):
    """See the module docstring."""

    def __init__(self, join: JoinPort) -> None:
        self._join = join

    async def Authority(  # noqa: N802 (gRPC names methods like this)
        self, _request: pb.AuthorityRequest, _context: Context
    ) -> pb.AuthorityResponse:
        """What the fingerprint in a join token is of."""
        return pb.AuthorityResponse(certificate=self._join.authority())

    async def Join(self, request: pb.JoinRequest, context: Context) -> pb.JoinResponse:  # noqa: N802
        """Token and request in, certificate and addresses out."""
        joined = await self._join.join(_token(context), request.worker, request.csr)
        return pb.JoinResponse(
            worker=joined.worker,
            certificate=joined.certificate,
            authority=joined.authority,
            agents=joined.agents,
            platform=joined.platform,
            swarm_manager=joined.swarm_manager,
            swarm_join_token=joined.swarm_join_token,
            image=joined.image,
            version=joined.version,
        )


def _token(context: Context) -> str:
    given = str(dict(context.invocation_metadata() or ()).get("authorization", ""))
    if not given.lower().startswith(_SCHEME):
        raise UnauthenticatedError("no join token is given: expected `authorization: Bearer …`")
    return given[len(_SCHEME) :].strip()
