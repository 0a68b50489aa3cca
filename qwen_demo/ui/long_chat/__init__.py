"""A long conversation shows its last questions; the earlier ones come when they are asked for."""
