"""What the commands of `pilot db` do."""
