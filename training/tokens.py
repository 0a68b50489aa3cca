"""Token ids that do not depend on what the tokenizer learned."""

VOCABULARY = 3072
SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
# The tokenizer library gives added tokens the ids after the learned ones, in the order eos, pad, others.
TOKEN_ID = {
    token: VOCABULARY - len(SPECIAL_TOKENS) + i
    for i, token in enumerate(["<|im_end|>", "<|endoftext|>", "<|im_start|>", *SPECIAL_TOKENS[3:]])
}
TOKENS_PER_SECOND = 2
# The picture processor's normalisation, per channel of values from 0 to 1 (CLIP's).
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
