"""Continuous batching: many requests share each forward pass of one model.

`engine.BatchingEngine` is the way in; `docs/batching.md` tells how the modules work together.
"""
