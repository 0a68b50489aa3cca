"""What is wrong with pages of a collection, in words for its owner. Blocking."""

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen_demo.knowledge.collection import Collection

_MOST_NAMED = 5


def unread(collection: "Collection", file: int) -> str:
    """Of a file: numbers of pages that could not be read, and why."""
    query = "SELECT number, problem FROM pages WHERE file = ? AND problem != '' ORDER BY number"
    with collection.lock:
        problems = list(collection.database.execute(query, (file,)))
    words = "; ".join(f"page {number}: {problem}" for number, problem in problems[:_MOST_NAMED])
    more = f" (and {len(problems) - _MOST_NAMED} more pages)" if len(problems) > _MOST_NAMED else ""
    return words + more


def unmade(database: sqlite3.Connection) -> dict[int, str]:
    """Of each file, by its id, what of its pages could not be made."""
    query = (
        "SELECT p.file, u.what, count(*), min(p.number), u.reason FROM unmade u JOIN pages p ON p.id = u.page "
        "GROUP BY p.file, u.what ORDER BY u.what"
    )
    found: dict[int, str] = {}
    for file, what, count, number, reason in database.execute(query):
        more = f" (and {count - 1} more pages)" if count > 1 else ""
        verb = "has" if count == 1 else "have"
        found[file] = f"{found.get(file, '')} Page {number}{more} {verb} no {_NAMES[what]}: {reason}".strip()
    return found


_NAMES = {"look": "look", "vectors": "vectors", "figures": "lines about figures"}
