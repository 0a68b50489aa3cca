"""Readers of point clouds and 3D models: bytes -> arrays. They run in a confined decoder and check sizes before data."""
