"""A schema of a few hundred bytes takes neither minutes nor gigabytes."""

import pytest

from qwen_demo.engines import schema_bounds
from qwen_demo.engines.schema_bounds import too_much


def all_of(*schemas: dict) -> dict:
    return {"allOf": list(schemas)}


MANY = [{"type": "string", "pattern": f".*{letter}.*"} for letter in "abcdefghijklmnopqrst"]
TEXTS = {f"p{n}": {"type": "string", "pattern": f"^{n}"} for n in range(20)}
BASE = {"$ref": "#/$defs/base", "properties": TEXTS, "$defs": {"base": {"type": "object"}}}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (all_of(*MANY), "patterns"),
        ({"type": "integer", "multipleOf": 999983}, "multiple of"),
        ({"type": "integer", "multipleOf": 12345000}, "multiple of"),
        ({"type": "number", "multipleOf": 0.999983}, "multiple of"),
        ({"type": "integer", "multipleOf": 10**400 + 7}, "multiple of"),
        (all_of(*({"type": "integer", "multipleOf": n} for n in (9973, 9967))), "multiple of"),
        ({"$ref": "#/$defs/a", "multipleOf": 9973, "$defs": {"a": {"multipleOf": 9967}}}, "multiple of"),
    ],
    ids=range(7),
)
def test_what_would_take_minutes_or_gigabytes_is_refused_by_name(schema, told, monkeypatch):
    monkeypatch.setattr(schema_bounds, "TRIED_FOR_S", 1)
    number, why = too_much([True, schema])
    assert number == 1 and told in why


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": TEXTS},
        BASE,
        {"type": "integer", "multipleOf": 86400},
        {"type": "number", "multipleOf": 1e-9},
        {"type": "integer", "multipleOf": 10**12},
        all_of({"type": "number", "multipleOf": 0.01}, {"type": "number", "multipleOf": 1000}),
        {"properties": {"a": {"multipleOf": 9973}, "b": {"multipleOf": 9967}}},
        {"multipleOf": True},
        {"multipleOf": float("inf")},
        True,
    ],
    ids=range(10),
)
def test_what_is_usual_is_not(schema):
    assert too_much([schema]) is None


def test_only_patterns_that_may_meet_are_tried_beforehand(monkeypatch):
    tried = []
    monkeypatch.setattr(schema_bounds, "_compile", lambda schemas: tried.append(schemas) or True)
    notes = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "title": "When", "default": None}
    for schema in ({"properties": TEXTS}, {"properties": TEXTS | {"when": notes}}, all_of(*MANY[:2])):
        assert too_much([schema]) is None
    assert not tried
    # All that one request brings together: 128 tools have the time of one.
    assert too_much([True, BASE, {}, BASE]) is None
    assert tried == [[BASE, BASE]]
