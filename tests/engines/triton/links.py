"""A way from the Triton engine to its host without Triton between them."""

from collections.abc import AsyncGenerator, Sequence

from qwen_demo.engines.triton.host import TritonHost
from qwen_demo.settings import Settings

BEHIND = Settings(engine="triton", base_url=("127.0.0.1:1",))


class DirectLink:
    """The host in this event loop; it is started by the first control, as a server is there before its front."""

    def __init__(self, host: TritonHost):
        self.host, self._started = host, False

    def answer(self, request: bytes, pixels: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
        return self.host.answer(request, pixels)

    async def control(self, request: bytes) -> bytes:
        if not self._started:
            self._started = True
            await self.host.start()
        return await self.host.control(request)

    async def close(self) -> None:
        if self._started:
            await self.host.close()
