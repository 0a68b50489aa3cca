"""llama.cpp's convert_hf_to_gguf.py for the embedded model's tokenizer.

The converter knows tokenizers by what they make of a sample text. Ours has a smaller vocabulary than Qwen's but
splits text into words by the same rule.
"""

import sys
from pathlib import Path

converter = sys.argv.pop(1)
sys.path[:0] = [converter, str(Path(converter) / "gguf-py")]

import conversion.base  # noqa: E402
import convert_hf_to_gguf  # noqa: E402


def no_sentencepiece(self) -> None:
    raise FileNotFoundError("this tokenizer is a byte-level BPE")


conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
conversion.base.TextModel._set_vocab_sentencepiece = no_sentencepiece
convert_hf_to_gguf.main()
