"""What can be found out before a run: `pilot doctor` and `pilot run --dry-run`."""
