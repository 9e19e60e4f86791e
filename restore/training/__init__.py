"""Training: the loop, its state on disk, optimizers, losses."""
