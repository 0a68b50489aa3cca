"""Where a JSON object ends in text that comes in pieces."""

import re

_OUTSIDE = re.compile(r'["{}\[\]<]')
_IN_STRING = re.compile(r'["\\]')


class JsonObject:
    """Looks at each character once.

    Attributes:
        end: index after the object's last bracket, once that has come.
        broken: index of a character that stands in no JSON, if one has come before the end.
    """

    def __init__(self) -> None:
        self.end: int | None = None
        self.broken: int | None = None
        self._at = self._depth = 0
        self._in_string = False

    def look(self, text: str) -> None:
        """Args: text: all of it from its begin, which is the object's after spaces."""
        while self.end is None and self.broken is None:
            found = (_IN_STRING if self._in_string else _OUTSIDE).search(text, self._at)
            if found is None:
                self._at = len(text)
                return
            mark, self._at = found[0], found.end()
            if mark == "\\":
                if self._at == len(text):  # what it escapes has not come yet
                    self._at -= 1
                    return
                self._at += 1
            elif mark == '"':
                self._in_string = not self._in_string
            elif mark == "<":
                self.broken = found.start()
            else:
                self._depth += 1 if mark in "{[" else -1
                self.end = self._at if self._depth == 0 else None
