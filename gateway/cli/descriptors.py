"""How many files and sockets this process may hold: as many as the system allows it.

What a shell or a service is given at first is often 1024, which is 500 streams; up to a second, hard limit
a process may raise that by itself. Programs that call select(2) rely on the low one; none of ours does.
"""

import logging
import sys
from typing import Final

if sys.platform != "win32":  # which has no such limits
    import resource

_logger: Final = logging.getLogger("penstock")


def raise_limit() -> None:
    """Raise the soft limit to the hard one."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # macOS allows a hard limit that it does not grant
        _logger.debug("The limit of open files stays at %d: %s.", soft, error)
    else:
        _logger.debug("The limit of open files is %d now, not %d.", hard, soft)
