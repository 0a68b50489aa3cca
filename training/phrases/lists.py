"""Lists of words and wordings as they are written in this folder: one after another, with bars or ends of lines between."""


def listed(text):
    """ "a|b\\nc" -> ["a", "b", "c"]"""
    return [item for line in text.strip().splitlines() for item in line.split("|")]
