"""Things that answer requests; each keeps the contract of `qwen_demo.types.Engine`."""
