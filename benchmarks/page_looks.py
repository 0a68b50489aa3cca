"""Pages by how they look: pages a second, milliseconds a question and a search, memory, in the shapes of a ColQwen2.5.

    python -m benchmarks.page_looks --shapes 3b --pages 50 --out FOLDER

Weights are random and the vocabulary is the embedded model's, so this says how long it takes and not what it finds.
`--shapes embedded` is quick on any machine.
"""

import argparse
import io
import logging
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw

from benchmarks.machine import write
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.looks import LookTable
from qwen_demo.media import PageText, Passage
from qwen_demo.models.choose import EMBEDDED_DIR
from qwen_demo.models.page_embedding import PageModel

WIDTH = 128
PAGE_PIXELS = (1240, 1754)  # A4 at 150 dots an inch
MOST_PIXELS = 768 * 28 * 28  # as the published ones see a page
SEARCHES = 10
# Of Qwen2.5-VL-3B.
TEXT_3B = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1_000_000.0},
}
VISION_3B = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": 2048,
    "fullatt_block_indexes": [7, 15, 23, 31],
}


def made(folder: Path, shapes: str) -> None:
    """A checkpoint with random weights."""
    import torch

    from qwen_demo.models import machine, torchvision_shim

    torchvision_shim.install()
    from transformers import (
        AutoConfig,
        AutoImageProcessor,
        AutoTokenizer,
        ColQwen2Config,
        ColQwen2ForRetrieval,
        ColQwen2Processor,
    )

    config: dict[str, Any] = AutoConfig.from_pretrained(EMBEDDED_DIR).to_dict()
    if shapes == "3b":
        config["text_config"] |= TEXT_3B | {"layer_types": ["full_attention"] * TEXT_3B["num_hidden_layers"]}
        config["text_config"] |= {"head_dim": None, "max_window_layers": TEXT_3B["num_hidden_layers"]}
        config["vision_config"] |= VISION_3B
    torch.manual_seed(7)
    with torch.device(machine.device()):
        model = ColQwen2ForRetrieval(ColQwen2Config(vlm_config=config, embedding_dim=WIDTH)).to(torch.bfloat16)
    model.save_pretrained(folder)
    pixels = {"shortest_edge": 56 * 56, "longest_edge": MOST_PIXELS}
    images = AutoImageProcessor.from_pretrained(EMBEDDED_DIR, size=pixels, min_pixels=56 * 56, max_pixels=MOST_PIXELS)
    ColQwen2Processor(images, AutoTokenizer.from_pretrained(EMBEDDED_DIR)).save_pretrained(folder)


def drawn(made: random.Random) -> bytes:
    """A page of lines as JPEG."""
    image = PIL.Image.new("RGB", PAGE_PIXELS, "white")
    pen = PIL.ImageDraw.Draw(image)
    for line in range(40):
        pen.text((120, 120 + 36 * line), " ".join(str(made.randrange(10**6)) for _ in range(8)), "black", font_size=24)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92)
    return file.getvalue()


def measured(shapes: str, count: int, threads: int) -> dict[str, Any]:
    import torch

    with tempfile.TemporaryDirectory() as place:
        made(Path(place), shapes)
        began = time.perf_counter()
        model = PageModel(Path(place), shapes, threads=threads)
        loaded_s = time.perf_counter() - began
        collection = Collection(Path(place) / "collection")
        entry = collection.enter("a.pdf", "0", 0)
        collection.add_pages(entry.id, "a.pdf", [PageText(n, (Passage("x"),)) for n in range(1, count + 1)])
        table, seed = LookTable(collection, "m"), random.Random(3)
        pages = [drawn(seed) for _ in range(count)]
        model.page(pages[0])  # compiles and allocates
        began = time.perf_counter()
        looks = [model.page(page) for page in pages]
        pages_per_s = count / (time.perf_counter() - began)
        for number, rows in enumerate(looks, 1):
            table.put(number, rows)
        began = time.perf_counter()
        questions = [model.question(f"Which page shows number {n}?") for n in range(SEARCHES)]
        question_ms = 1000 * (time.perf_counter() - began) / SEARCHES
        began = time.perf_counter()
        for question in questions:
            table.nearest(question, 10)
        search_ms = 1000 * (time.perf_counter() - began) / SEARCHES
        collection.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = (Path(place) / "collection" / "words.sqlite").stat().st_size
        collection.close()
    device = torch.cuda.is_available()
    return {
        "shapes": shapes,
        "pages": count,
        "vectors_a_page": len(looks[0]),
        "bytes_a_page": size / count,
        "loaded_s": loaded_s,
        "pages_per_s": pages_per_s,
        "question_ms": question_ms,
        "search_ms": search_ms,
        "gpu_peak_gib": torch.cuda.max_memory_allocated() / (1 << 30) if device else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", choices=["embedded", "3b"], default="embedded")
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0, help="of the CPU")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    result = measured(given.shapes, given.pages, given.threads)
    print(result)
    if given.out:
        write("page-looks", {"label": given.shapes, **result}, given.out)


if __name__ == "__main__":
    main()
