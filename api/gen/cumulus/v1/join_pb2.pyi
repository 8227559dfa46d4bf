from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class AuthorityRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AuthorityResponse(_message.Message):
    __slots__ = ("certificate",)
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    def __init__(self, certificate: _Optional[bytes] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("worker", "csr")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    CSR_FIELD_NUMBER: _ClassVar[int]
    worker: str
    csr: bytes
    def __init__(self, worker: _Optional[str] = ..., csr: _Optional[bytes] = ...) -> None: ...

class JoinResponse(_message.Message):
    __slots__ = ("worker", "certificate", "authority", "agents", "platform", "swarm_manager", "swarm_join_token", "image", "version")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    SWARM_MANAGER_FIELD_NUMBER: _ClassVar[int]
    SWARM_JOIN_TOKEN_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    worker: str
    certificate: bytes
    authority: bytes
    agents: str
    platform: str
    swarm_manager: str
    swarm_join_token: str
    image: str
    version: str
    def __init__(self, worker: _Optional[str] = ..., certificate: _Optional[bytes] = ..., authority: _Optional[bytes] = ..., agents: _Optional[str] = ..., platform: _Optional[str] = ..., swarm_manager: _Optional[str] = ..., swarm_join_token: _Optional[str] = ..., image: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...
