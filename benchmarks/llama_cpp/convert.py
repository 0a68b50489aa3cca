"""llama.cpp's convert_hf_to_gguf.py for the embedded model's tokenizer, and for four bits.

The converter knows tokenizers by what they make of a sample text. Ours has a smaller vocabulary than Qwen's but
splits text into words by the same rule.

`--outtype q4_0`, which the converter leaves to a program that the library has not: layers in Q4_0, output layer and table
of words in Q8_0 (llama.cpp's own has Q6_K there), the vision encoder in float16 as `--mmproj` files usually are.
"""

import sys
from pathlib import Path

converter = sys.argv.pop(1)
sys.path[:0] = [converter, str(Path(converter) / "gguf-py")]

import conversion.base  # noqa: E402
import convert_hf_to_gguf  # noqa: E402
import gguf  # noqa: E402


def no_sentencepiece(self) -> None:
    raise FileNotFoundError("this tokenizer is a byte-level BPE")


def four_bits(self, name: str, new_name: str, bid: int | None, n_dims: int):
    """Layers in four bits; all else as the converter does for eight."""
    is_layer = n_dims == 2 and new_name.startswith("blk.") and new_name.endswith(".weight")
    return gguf.GGMLQuantizationType.Q4_0 if is_layer else False


conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
conversion.base.TextModel._set_vocab_sentencepiece = no_sentencepiece
if "q4_0" in sys.argv:
    is_vision = "--mmproj" in sys.argv
    sys.argv[sys.argv.index("q4_0")] = "f16" if is_vision else "q8_0"
    if not is_vision:
        conversion.base.TextModel.tensor_force_quant = four_bits
convert_hf_to_gguf.main()
