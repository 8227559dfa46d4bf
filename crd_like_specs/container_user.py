"""Which user a job's container runs as: `1000`, `1000:100`, `nobody`. Pure.

Only an image itself knows which user a name is, and every file of root's group is that group's: so
whatever is not two plain numbers above 0 counts as root, which a token must be allowed.
"""

from __future__ import annotations

import re
from typing import Final

USER_PATTERN: Final = r"^(0|[1-9][0-9]{0,9}|[A-Za-z_][A-Za-z0-9_.-]{0,31})(:(0|[1-9][0-9]{0,9}|[A-Za-z_][A-Za-z0-9_.-]{0,31}))?$"
HIGHEST: Final = (1 << 31) - 1

EXPECTED: Final = "expected UID[:GID] or a name that the image knows, such as 1000:1000"


def check_user(user: str) -> None:
    """ValueError for what no engine takes; "" is the default user."""
    if not user:
        return
    if not re.fullmatch(USER_PATTERN, user):
        raise ValueError(f"{user!r:.80} is given, {EXPECTED}")
    for part in user.split(":"):
        if part.isdecimal() and int(part) > HIGHEST:
            raise ValueError(f"{part} is given, expected numbers up to {HIGHEST}")


def may_be_root(user: str) -> bool:
    """Whether it is, or may turn out to be, uid 0 or group 0."""
    return any(not part.isdecimal() or int(part) == 0 for part in user.split(":") if user)


def ids(user: str, default: int) -> tuple[int, int] | None:
    """(uid, gid) of a user in numbers; None for a name. Without a group engines take group 0 where
    the image does not know the user, so that one is given: the same number as the user's.
    """
    uid, colon, gid = (user or str(default)).partition(":")
    group = gid if colon else uid
    return (int(uid), int(group)) if uid.isdecimal() and group.isdecimal() else None
