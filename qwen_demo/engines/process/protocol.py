"""What the front and the process of its engine say to each other, and how often.

The front sends first a bootstrap (the interpreter's import path, then a `Setup`), then requests and cancellations,
then a close. The engine's process sends batches of events, snapshots, and one `STARTED` or `NOT_STARTED`. Signs of
life go through a pipe of their own, from a thread that needs nothing of the event loop.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from qwen_demo.settings import Settings

# On the bootstrap: bytes of the import path, bytes of the setup, both pickled.
BOOTSTRAP = struct.Struct("<II")
# A request or a cancellation begins with the number of its call.
CALL = struct.Struct("<Q")
# A sign of life: seconds for which the event loop has not moved, and resident bytes of the process.
SIGN_OF_LIFE = struct.Struct("<dQ")

SNAPSHOT_EVERY_S = 0.1
# Signs of life in the time after whose silence a process counts as dead, and the longest time between two.
SIGNS_IN_SILENCE = 5
SIGN_EVERY_S = 1.0


class Ask(IntEnum):
    """What the front asks for."""

    ANSWER = 1
    CANCEL = 2
    CLOSE = 3


class Tell(IntEnum):
    """What the engine's process tells."""

    STARTED = 1
    NOT_STARTED = 2
    EVENTS = 3
    SNAPSHOT = 4


# What one entry of a batch of events is: (call, one of these, content).
EVENT, ERROR, GONE = 1, 2, 3  # after GONE nothing of the call is left in the engine


@dataclass(frozen=True, slots=True)
class Setup:
    """What the process builds and how it lives.

    Attributes:
        build: `package.module:function`, called with the settings and `arguments`; gives the engine.
        arguments: anything that can be pickled.
        silence_s: after this long without a sign of life the front takes the process for dead.
        front: process id of the front.
    """

    build: str
    settings: Settings
    arguments: tuple[Any, ...] = field(default=())
    silence_s: float = 10.0
    front: int = 0

    @property
    def sign_every_s(self) -> float:
        return min(SIGN_EVERY_S, self.silence_s / SIGNS_IN_SILENCE)
