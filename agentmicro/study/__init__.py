"""Studies: scenario files, the runs they ask for, and the verdicts on what they claim."""
