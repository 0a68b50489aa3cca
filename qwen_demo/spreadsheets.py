"""Text for cells of a CSV file that no spreadsheet takes for a formula."""

import re

# A cell that begins with one of these is a formula to spreadsheets; some are of full width.
_SIGNS = "=+@\uff1d\uff0b\uff0d\uff20\u2212-"
# What may begin a cell: which sign separates them is the reader's country's, and not every program heeds quotes.
_SEPARATORS = ",;|\"'\u0000-\u001f\u007f-\u009f\u2028\u2029\uff0c\uff1b"
_FORMULA = re.compile(f"(^|[{_SEPARATORS}])([ \u00a0\u200b\u3000\ufeff]*)(?=[{_SIGNS}])")


def cell(text: str) -> str:
    """With a quote in front of what would be run."""
    return _FORMULA.sub(r"\1\2'", text)
