"""Clients from npm: what they do (`turns.mjs`), and what they sent when they last did it (`recorded.jsonl`)."""
