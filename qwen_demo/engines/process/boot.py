"""First file of an engine's process: takes over the front's import path, then runs `child`.

It is run by its path, so that the process finds the program wherever the front did, and imports nothing
of the program before that path is set.
"""

import pickle
import socket
import struct
import sys

BOOTSTRAP = struct.Struct("<II")  # as in `protocol`


def _exactly(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = end.recv(size - len(data))
        if not more:
            raise SystemExit(0)  # the front is gone
        data += more
    return data


def main() -> None:
    end, life = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    path, setup = BOOTSTRAP.unpack(_exactly(end, BOOTSTRAP.size))
    sys.path[:] = pickle.loads(_exactly(end, path))

    from qwen_demo.engines.process import child

    child.run(end, life, _exactly(end, setup))


if __name__ == "__main__":
    main()
