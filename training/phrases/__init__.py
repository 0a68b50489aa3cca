"""Wordings of the questions: `train` is what training sees, `test` was written apart and is held out."""
