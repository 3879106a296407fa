"""The session keyring of this process (session-keyring(7))."""

from __future__ import annotations

import errno

from zonectl.errors import SyscallError
from zonectl.kernel import ranking


def begin() -> None:
    """Leave the session keyring of zonectl's caller behind for a new one. See `steps.JoinKeyring` for when.

    Raises:
        SyscallError: there is no room for a key.

    """
    try:
        ranking.join_session_keyring()
    except SyscallError as error:
        if error.errno != errno.ENOSYS:  # a kernel without keys has nothing to leave
            raise
