"""Threads for calls of the object store: one that is slow holds up nothing else.

Each application has a few of its own; routes that need none of them go on.
"""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request

THREADS = 8

AnswerT = TypeVar("AnswerT")


async def in_lane(request: Request, call: Callable[[], AnswerT]) -> AnswerT:
    """Call the object store in a thread, once one of the application's is free."""
    lane: CapacityLimiter = request.app.state.lane
    return await to_thread.run_sync(call, limiter=lane)
