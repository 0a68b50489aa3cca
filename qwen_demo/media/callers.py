"""On whose behalf a file is decoded: who may share a decoder with whom.

A decoder that was taken over sees the later files of its caller, and of nobody else. So a name must never be wider
than one caller, and a task that serves many must have none.
"""

from contextvars import ContextVar

# Empty: not known, so each file gets a decoder of its own.
current_caller: ContextVar[str] = ContextVar("current_caller", default="")
