"""`/ask` and `/chat`: what `gradio_client`, the API page and MCP clients call."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr

from qwen_demo.errors import InvalidRequest, QwenDemoError
from qwen_demo.knowledge.knowledge import Knowledge
from qwen_demo.service.service import Service
from qwen_demo.types import Sampling, TextDelta
from qwen_demo.ui.chat import chat_request, paced
from qwen_demo.ui.conversation import Reader, names_files
from qwen_demo.ui.panels.knowledge.knowledge import boxes_of, owner_of


class Endpoints:
    """The public functions. Their names, parameters and docstrings are the API."""

    def __init__(self, service: Service, reader: Reader, knowledge: Knowledge):
        self._service, self._reader, self._knowledge = service, reader, knowledge

    async def search_documents(
        self, request: gr.Request, collection: str, query: str, top_k: int = 5
    ) -> list[dict[str, Any]]:
        """Find the pages of your own documents that answer a question best.

        Args:
            collection: The name of a collection of documents.
            query: What to look for.
            top_k: How many pages at most (1 to 50).
        """
        if self._service.settings.page_users_file and not request.username:
            # A key that came by MCP is not told here: nobody's collections are searched for it.
            raise gr.Error("Search with a key at POST /v1/knowledge/COLLECTION/search.", print_exception=False)
        try:
            hits = await self._knowledge.search(owner_of(request), collection, query, max(1, int(top_k)))
        except QwenDemoError as error:
            raise gr.Error(str(error), title=error.code, print_exception=False) from error
        return [
            {
                "file": hit.page.file,
                "page": hit.page.number,
                "score": hit.score,
                "text": hit.text,
                "boxes": boxes_of(hit.marked),
            }
            for hit in hits
        ]

    async def ask(
        self,
        question: str,
        image: gr.FileData | None = None,
        temperature: float = 0.0,
        max_new_tokens: int = 512,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int | None = None,
        max_pixels: int | None = None,
        system_prompt: str = "",
    ) -> AsyncGenerator[str, None]:
        """Ask one question about one file or none. The answer grows; the last value is all of it.

        Args:
            question: What to ask.
            image: An image, a video, a point cloud or 3D model as a file, or none.
            temperature: 0 always takes the likeliest word; higher is freer (0 to 2).
            max_new_tokens: The answer ends after this many tokens.
            top_p: Choose among the likeliest words that together have this probability.
            repetition_penalty: Above 1, words that were said become less likely.
            seed: Makes an answer above temperature 0 repeatable.
            max_pixels: The image is shrunk to at most this area before the model sees it.
            system_prompt: Instructions that stand before the conversation.
        """
        content: list[dict] = [{"type": "file", "file": image}] if image else []
        content.append({"type": "text", "text": question})
        sampling = _sampling(temperature, max_new_tokens, top_p, repetition_penalty, seed)
        async with aclosing(
            self._answer([{"role": "user", "content": content}], sampling, max_pixels, system_prompt)
        ) as texts:
            async for text in texts:
                yield text

    async def chat(
        self,
        messages: list[dict[str, Any]],
        temperature: float = 0.0,
        max_new_tokens: int = 512,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int | None = None,
        max_pixels: int | None = None,
        system_prompt: str = "",
    ) -> AsyncGenerator[str, None]:
        """Continue a conversation. The answer grows; the last value is all of it.

        Args:
            messages: {"role": "user" or "assistant", "content": text or a list of parts}. A part is
                {"type": "text", "text": ...}, {"type": "file", "file": handle_file(...)} or
                {"type": "image_url", "image_url": {"url": "https://... or data:..."}}, and the same with
                video_url and model_url.
            temperature: 0 always takes the likeliest word; higher is freer (0 to 2).
            max_new_tokens: The answer ends after this many tokens.
            top_p: Choose among the likeliest words that together have this probability.
            repetition_penalty: Above 1, words that were said become less likely.
            seed: Makes an answer above temperature 0 repeatable.
            max_pixels: Images are shrunk to at most this area before the model sees them.
            system_prompt: Instructions that stand before the conversation.
        """
        sampling = _sampling(temperature, max_new_tokens, top_p, repetition_penalty, seed)
        async with aclosing(self._answer(messages, sampling, max_pixels, system_prompt)) as texts:
            async for text in texts:
                yield text

    async def _answer(self, history, sampling, max_pixels, system_prompt) -> AsyncGenerator[str, None]:
        text = ""
        try:
            request = chat_request(self._reader, history, sampling, system_prompt, max_pixels)
            answering = self._service.answer(request, front="gradio", opens_files=names_files(history))
            async with aclosing(paced(answering, self._service)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        text += event.text
                    # A heartbeat repeats the text: it is how a caller that left is noticed.
                    yield text
        except QwenDemoError as error:
            raise gr.Error(str(error), title=error.code, print_exception=False) from error


def _sampling(temperature, max_new_tokens, top_p, repetition_penalty, seed) -> Sampling:
    numbers = {
        "temperature": temperature,
        "max_new_tokens": max_new_tokens,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
    }
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise gr.Error(f"{name} must be a number.", title=InvalidRequest.code, print_exception=False)
    return Sampling(
        max_new_tokens=int(max_new_tokens),
        temperature=float(temperature),
        top_p=float(top_p),
        repetition_penalty=float(repetition_penalty),
        seed=None if seed is None else int(seed),
    )
