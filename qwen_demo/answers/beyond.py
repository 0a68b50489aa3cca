"""Answers in which the embedded model says that something is beyond it, see its model card."""

BEYOND_IT = ("demo model and cannot", "演示模型，无法", "演示模型，认不出")


def is_beyond(text: str) -> bool:
    """Whether the embedded model has said that it cannot answer."""
    return any(words in text for words in BEYOND_IT)
