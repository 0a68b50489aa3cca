"""Answers in which the embedded model says that something is beyond it, see its model card."""

BEYOND_IT = (
    "demo model and cannot",
    "too small for me.",
    "and cannot tell more about it.",
    "and cannot read it",
    "and cannot play or read it.",
    '", not all of it.',
    "演示模型，无法",
    "演示模型，认不出",
    "字太小，我看不清",
)


def is_beyond(text: str) -> bool:
    """Whether the embedded model has said that it cannot answer."""
    return any(words in text for words in BEYOND_IT)
