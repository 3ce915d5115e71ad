"""What the kernel costs, as ratios to plain references within one run."""
