"""How many files a process may have open: each connection is one."""

from __future__ import annotations

import resource

import structlog

log = structlog.get_logger(__name__)

OTHERS = 200
"""What is kept for databases, Redis, files, and connections that are just being ended."""


def connections_allowed(wanted: int) -> int:
    """Allow this process as many open files as so many connections need, if that can be.

    Returns how many connections there may be: `wanted`, or what the system allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHERS
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most == needed:
        return wanted
    allowed = max(most - OTHERS, most // 2)
    log.warning("too few files may be open", connections=allowed, wanted=wanted, open_files=most)
    return allowed
