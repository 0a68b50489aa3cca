"""The way to a Triton server over gRPC, with NVIDIA's own client."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from qwen_demo.engines.triton.engine import CHECK_TIMEOUT_S, CONTROL, MODEL, Lost


class GrpcLink:
    """One connection, which all calls share."""

    def __init__(self, address: str):
        self._client = InferenceServerClient(address)

    async def answer(self, request: bytes, pixels: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
        inputs = [_tensor("request", [request])]
        if pixels:
            inputs.append(_tensor("pixels", pixels))

        async def asked() -> AsyncIterator[dict[str, Any]]:
            yield {"model_name": MODEL, "inputs": inputs}

        replies = self._client.stream_infer(asked())
        try:
            async for result, error in replies:
                if error is not None:
                    raise Lost(error.message())
                yield result.as_numpy("event").ravel()[0]
        except (InferenceServerException, grpc.RpcError) as error:
            raise Lost(str(error)) from error
        finally:
            replies.cancel()

    async def control(self, request: bytes) -> bytes:
        """Triton's decoupled models are asked by streams alone; this one is not, and may be asked over HTTP as well."""
        try:
            result = await self._client.infer(CONTROL, [_tensor("request", [request])], client_timeout=CHECK_TIMEOUT_S)
        except (InferenceServerException, grpc.RpcError) as error:
            raise Lost(str(error)) from error
        return bytes(result.as_numpy("state").ravel()[0])

    async def close(self) -> None:
        await self._client.close()


def _tensor(name: str, values: Sequence[bytes]) -> InferInput:
    tensor = InferInput(name, [len(values)], "BYTES")
    tensor.set_data_from_numpy(np.array(values, dtype=np.object_))
    return tensor
