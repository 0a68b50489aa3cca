"""What every front must hold to, whoever asks: order, counts, lengths and ranges of a request."""

from collections.abc import Iterable

from qwen_demo.errors import InvalidRequest
from qwen_demo.models.tools.hermes import texts
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, ModelInfo, Sampling, Text

# Words have some four; only blanks and drawn lines have more than this.
CHARACTERS_PER_TOKEN = 16


def validate(request: ChatRequest, limits: Settings, model: ModelInfo) -> None:
    """Raises `InvalidRequest` for what `limits` or `model` do not allow."""
    if not request.messages:
        raise InvalidRequest("There is no message to answer.", field="messages")
    if (request.messages[-1].role == "assistant") != request.continue_final_message:
        raise InvalidRequest(
            "The last message is the assistant's. End with a message of the user, or send continue_final_message: true "
            "and add_generation_prompt: false to have it continued."
            if request.messages[-1].role == "assistant"
            else "continue_final_message goes with a last message of the assistant.",
            field="messages",
        )
    if not any(part for message in request.messages if message.role != "assistant" for part in message.parts):
        raise InvalidRequest(Sentence("The question is empty: type something or add an image."), field="messages")
    _check_text([*(message.text for message in request.messages), *texts((), request.messages)], "messages")
    _check_text(request.sampling.stop, "stop")
    _check_text(texts(request.tools, ()), "tools")
    _check_length(request, model)
    images = sum(not isinstance(part, Text) for message in request.messages for part in message.parts)
    if images > limits.max_images:
        raise InvalidRequest(
            Sentence(
                "The conversation has {count} images and videos; the model looks at {limit} at once. "
                "Clear the conversation or remove some (an operator can raise --max-images).",
                count=images,
                limit=limits.max_images,
            ),
            field="messages",
        )
    if not 1 <= request.sampling.max_new_tokens <= limits.max_new_tokens:
        raise InvalidRequest(
            f"max_new_tokens is {request.sampling.max_new_tokens}; it may be 1 to {limits.max_new_tokens} "
            "(an operator can raise --max-new-tokens).",
            field="max_new_tokens",
        )
    if request.sampling.top_logprobs is not None and not model.logprobs:
        raise InvalidRequest(f"The {model.engine} engine does not report logprobs.", field="logprobs")
    if request.sampling.json_schema and not model.json_schema:
        raise InvalidRequest(
            Sentence("The {engine} engine cannot hold an answer to a JSON schema.", engine=model.engine),
            field="response_format",
        )
    if request.tools and request.tool_choice.required and not model.json_schema:
        raise InvalidRequest(
            f"The {model.engine} engine cannot hold an answer to calls of tools: leave it to the model (auto).",
            field="tool_choice",
        )
    _check_sampling(request.sampling)


def _check_length(request: ChatRequest, model: ModelInfo) -> None:
    """Before anybody counts tokens: that takes seconds for a text of megabytes."""
    characters = sum(
        map(len, [*(message.text for message in request.messages), *texts(request.tools, request.messages)])
    )
    most = CHARACTERS_PER_TOKEN * model.context_tokens
    if model.context_tokens and characters > most:
        raise InvalidRequest(
            Sentence(
                "The conversation has {count} characters. This model reads {tokens} tokens at once, which is far less "
                "than {limit} characters. Shorten it or begin a new one.",
                count=characters,
                tokens=model.context_tokens,
                limit=most,
            ),
            field="messages",
        )


def _check_text(words: Iterable[str], field: str) -> None:
    for text in words:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest("A text holds half a surrogate pair, which is no character.", field=field) from error


def _check_sampling(sampling: Sampling) -> None:
    for name, value, low, high in (
        ("temperature", sampling.temperature, 0, 2),
        ("top_p", sampling.top_p, 0.001, 1),
        ("top_k", sampling.top_k, 0, 1000),
        ("min_p", sampling.min_p, 0, 1),
        ("repetition_penalty", sampling.repetition_penalty, 0.1, 10),
        ("presence_penalty", sampling.presence_penalty, -2, 2),
        ("frequency_penalty", sampling.frequency_penalty, -2, 2),
        ("seed", sampling.seed or 0, 0, (1 << 63) - 1),
        ("top_logprobs", sampling.top_logprobs or 0, 0, 20),
    ):
        if not low <= value <= high:
            raise InvalidRequest(f"{name} is {value}; it may be {low} to {high}.", field=name)
