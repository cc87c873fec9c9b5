"""Tables of collected rows, in a database beside the target."""
