"""Whether a JSON schema can be held to at a bounded cost; asked before the grammar's library compiles it.

The library bounds most of what it does by itself. Not so how long it looks for a text that fits several patterns at
once, which doubles with each pattern and takes gigabytes with twenty; and what it keeps of a divisor grows with it.
"""

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import llguidance

from qwen_demo.settings import environment_without_secrets

LARGEST_DIVISOR = 100_000
# Of patterns that may meet on one text, so many are compiled without being tried before.
FEW_PATTERNS = 2
TRIED_FOR_S, TRIED_IN_BYTES, WAITED_FOR_S = 2, 512 << 20, 30
# Words that say something to people, or hold schemas that say nothing of this place.
_NOTES = {"title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$comment"}
_NOTES |= {"$defs", "definitions", "$schema", "$id", "x-guidance"}
_TRY = """
import json, resource, sys
for limit, most in ((resource.RLIMIT_CPU, int(sys.argv[1])), (resource.RLIMIT_AS, int(sys.argv[2]))):
    try:
        resource.setrlimit(limit, (most, most))
    except (ValueError, OSError):
        pass  # a system without this one
from llguidance import LLMatcher
for grammar in json.load(sys.stdin):
    LLMatcher.validate_grammar(grammar)
"""
_DIVISORS = (
    f"what numbers are a multiple of has to stay below {LARGEST_DIVISOR:,}, also together where several hold at once."
)
_PATTERNS = (
    "it takes too long to find out what fits all of its patterns at once: use fewer in allOf, anyOf or beside $ref."
)


def too_much(schemas: Sequence[Any]) -> tuple[int, str] | None:
    """Which of them would take too long or too much memory to compile, counted from 0, and why."""
    tried = []
    for number, schema in enumerate(schemas):
        places = list(_places(schema))
        meet = any(map(_meets_others, places))
        divisors = [size for place in places if (size := _size(place.get("multipleOf")))]
        if (math.lcm(*divisors) if meet else max(divisors, default=1)) > LARGEST_DIVISOR:
            return number, _DIVISORS
        if meet and sum(("pattern" in place) + ("format" in place) for place in places) > FEW_PATTERNS:
            tried.append(number)
    if tried and not _compile([schemas[number] for number in tried]):
        return tried[0], _PATTERNS
    return None


def _places(schema: Any) -> Iterator[dict[str, Any]]:
    """Each object in it, itself first."""
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _meets_others(place: dict[str, Any]) -> bool:
    """Whether what several schemas say may hold for one value."""
    if "allOf" in place:
        return True
    chosen = {"anyOf", "oneOf", "$ref"} & set(place)
    return bool(chosen) and len(set(place) - _NOTES) > 1


def _size(divisor: Any) -> int:
    """Its digits as a number; 1 of powers of ten, which cost nothing."""
    if isinstance(divisor, bool) or not isinstance(divisor, int | float):
        return 0
    value = Decimal(str(divisor))
    if not value.is_finite() or value <= 0:
        return 0  # which the library refuses
    whole = value == value.to_integral_value()
    digits = str(int(value)) if whole else "".join(map(str, value.normalize().as_tuple().digits))
    return 1 if digits.rstrip("0") == "1" else int(digits)


def _compile(schemas: Sequence[Any]) -> bool:
    """Tried in a process that is killed where all of them together take too long or too much."""
    try:
        grammars = [llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema)) for schema in schemas]
    except ValueError:
        return True  # which the library refuses in its own words
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _TRY, str(TRIED_FOR_S), str(TRIED_IN_BYTES)],
            input=json.dumps(grammars).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment_without_secrets(),
            timeout=WAITED_FOR_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
