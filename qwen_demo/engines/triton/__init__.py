"""Our engines behind Triton Inference Server: the host in it, and the engine of a front that asks it."""
