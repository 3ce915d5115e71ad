"""The app: a run seen live, one condition changed, and why an agent did what it did."""
