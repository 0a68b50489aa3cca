"""Teaching a model from labelled images: reading such data, low-rank adapters by peft, what they gain, and distillation.

Nothing of the page or the API needs this room, and what only training needs (peft) is imported when it is first used.
"""
