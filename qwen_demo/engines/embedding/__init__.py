"""A model of embeddings in a process of its own: `process` is the front's side, `child` the other one."""
