"""Full-size models on a CPU: compact weights, the products that read them, and how they get there from a checkpoint."""
