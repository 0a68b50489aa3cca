"""Clips: sampled frames and timestamps."""
