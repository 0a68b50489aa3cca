"""A document as the content of a frame that can do nothing.

The frame is an `iframe` with an empty `sandbox`: no scripts at all, an origin of its own, no forms,
no way out. Inside, a policy allows nothing to be loaded and one style sheet, by its hash. So even
HTML that got past the sanitizer could neither run, nor call home, nor dress up as the page. The
frame cannot report a click either; that is the price, and why elements are linked from a list
outside, which scrolls the frame by setting the fragment of its address.
"""

import base64
import hashlib

from qwen_demo.answers.documents.exports import element_html
from qwen_demo.answers.documents.parse import Document

# Stands in the frame's class until the page says whether it is dark.
THEME = "theme-of-the-page"

_STYLE = """
:root { color-scheme: light; --line: #cbd5e1; --soft: #64748b; --mark: #ede9fe; --edge: #7c3aed; }
:root.dark { color-scheme: dark; --line: #334155; --soft: #94a3b8; --mark: #2e1f57; --edge: #a78bfa; }
:root { background: #fff; color: #1e293b; } :root.dark { background: #0f172a; color: #f1f5f9; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; padding: 12px 12px 12px 44px; overflow-wrap: anywhere; }
body > div { position: relative; padding: 1px 8px; margin: 4px 0; border-left: 3px solid transparent; }
body > div::before { content: attr(data-n); position: absolute; left: -36px; width: 24px; text-align: right;
  font-size: 11px; color: var(--soft); top: 5px; }
body > div:target { background: var(--mark); border-left-color: var(--edge); }
h1, h2, h3, h4, h5, h6, p { margin: 4px 0; line-height: 1.3; }
h1 { font-size: 1.5em; } h2 { font-size: 1.3em; } h3 { font-size: 1.15em; } h4, h5, h6 { font-size: 1em; }
table { border-collapse: collapse; display: block; overflow-x: auto; max-width: 100%; }
td, th { border: 1px solid var(--line); padding: 2px 8px; text-align: left; vertical-align: top; }
pre, code { font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; }
.header, .footer, .image { color: var(--soft); }
""".strip()
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


def srcdoc(document: Document) -> str:
    """HTML for the `srcdoc` of a sandboxed frame; element n has the id `e{n}`."""
    body = "\n".join(
        f'<div id="e{element.number}" data-n="{element.number}" class="{element.kind.replace(" ", "-")}">'
        f"{element_html(element)}</div>"
        for element in document.elements
    )
    return (
        f'<!doctype html><html class="{THEME}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>"
    )
