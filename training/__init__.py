"""The embedded model from nothing to a checkpoint: procedural data, tokenizer, training, evaluation, export.

Every stage is a module run with `python -m training.STAGE`; README.md lists them in order.
Nothing here is imported by the demo itself.
"""
