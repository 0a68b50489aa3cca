"""Milliseconds that a JSON schema costs over Qwen2.5's own vocabulary: to prepare, and for each token's mask.

    python -m benchmarks.grammar --out FOLDER

Needs requirements-dev.txt. No model runs: tokens of an answer that follows the schema are accepted one by one.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import write
from benchmarks.qwen_tokenizer import LOGITS, tokenizer
from qwen_demo.engines.grammar import Grammars

END = 151_645
RECEIPT = {
    "type": "object",
    "properties": {
        "shop": {"type": "string"},
        "date": {"type": "string", "pattern": "[0-9]{4}-[0-9]{2}-[0-9]{2}"},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "price": {"type": "number"}},
                "required": ["name", "price"],
                "additionalProperties": False,
            },
        },
        "currency": {"enum": ["EUR", "USD", "CNY"]},
    },
    "required": ["shop", "date", "items", "currency"],
    "additionalProperties": False,
}
ITEMS = [{"name": f"苹果 {number} 🍎", "price": number + 0.5} for number in range(8)]
CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "boolean": ({"type": "boolean"}, True),
    "one of 3": ({"enum": ["red", "green", "blue"]}, "green"),
    "one of 1,000": ({"enum": [f"choice {number}" for number in range(1000)]}, "choice 777"),
    "any object": ({"type": "object"}, {"a": [1, {"b": "中文"}]}),
    "receipt": (RECEIPT, {"shop": "Café", "date": "2026-11-27", "items": ITEMS, "currency": "EUR"}),
}


def measure(grammars: Grammars, qwen: Any, schema: dict[str, Any], answer: Any) -> dict[str, float]:
    """Of one schema and an answer that follows it."""
    began = time.perf_counter()
    constraint = grammars.constraint(json.dumps(schema))
    compiled = time.perf_counter() - began
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    masks, accepts = [], []
    for token in [*qwen(text, add_special_tokens=False)["input_ids"], END]:
        logits = torch.zeros(1, LOGITS)
        began = time.perf_counter()
        constraint.apply(logits)
        masked = time.perf_counter()
        constraint.accept(token)
        masks.append(masked - began)
        accepts.append(time.perf_counter() - masked)
        assert constraint.failure is None, constraint.failure
    return {
        "tokens": len(masks),
        "compile_ms": 1e3 * compiled,
        "first_mask_ms": 1e3 * masks[0],
        "mask_ms": 1e3 * statistics.median(masks),
        "slowest_mask_ms": 1e3 * max(masks),
        "accept_ms": 1e3 * statistics.median(accepts),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for a JSON file of the figures")
    options = parser.parse_args(argv)
    qwen = tokenizer()
    grammars = Grammars(qwen, LOGITS, frozenset([END]))
    began = time.perf_counter()
    grammars.constraint('{"type": "boolean"}')
    prepared_ms = 1e3 * (time.perf_counter() - began)
    print(f"{len(qwen):,} words; the first schema prepares them in {prepared_ms:.0f} ms")
    print("| schema | tokens | compile, ms | first mask | median mask | slowest mask | accept |")
    print("|---|---|---|---|---|---|---|")
    rows = {}
    for name, (schema, answer) in CASES.items():
        row = rows[name] = measure(grammars, qwen, schema, answer)
        print(
            f"| {name} | {row['tokens']} | {row['compile_ms']:.1f} | {row['first_mask_ms']:.2f} | {row['mask_ms']:.2f} | "
            f"{row['slowest_mask_ms']:.2f} | {row['accept_ms']:.3f} |"
        )
    if options.out:
        figures = {"words": len(qwen), "prepared_ms": prepared_ms, "schemas": rows}
        print(write("grammar", figures, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
