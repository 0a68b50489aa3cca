"""Model text -> a document of elements with regions, safe to show, and its exports. Pure.

Qwen2.5-VL parses pages into "QwenVL HTML": `<h2 data-bbox="x1 y1 x2 y2">` and the like, with boxes
in pixels of the image as it saw it (technical report, section 2.2.1). Other answers are read as
Markdown. Nothing of the text reaches a browser but what the sanitizer `nh3` lets through.
"""

from qwen_demo.answers.documents.exports import html, markdown, rows
from qwen_demo.answers.documents.frame import srcdoc
from qwen_demo.answers.documents.parse import Document, Element, parse

__all__ = ["Document", "Element", "html", "markdown", "parse", "rows", "srcdoc"]
