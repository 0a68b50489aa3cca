"""Texts -> vectors: by a server of somebody's, or by a model in a process of this program."""
