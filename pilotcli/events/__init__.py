"""The event classes that drivers derive from, and when they fire."""
