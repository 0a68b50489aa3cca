"""Models on the hub and in its cache: which there are, what they need, and how they come here."""
