"""Collections of a caller's own documents: kept, read page by page, found by words and vectors, asked with citations.

Knows no HTTP and no Gradio. Everything that touches the disk blocks; `Knowledge` is its face for the event loop.
"""
