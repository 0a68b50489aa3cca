"""Vectors of a collection's pages: which pages have one, and the stores that keep them and find the nearest."""
