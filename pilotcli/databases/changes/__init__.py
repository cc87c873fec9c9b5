"""Changes to a server that outlive a query: settings, indexes, extensions, and how they are undone.

Each is in a log before it is made. It is undone when its target is closed, or, after a pilot was
killed, by the next one that opens a target on that server.
"""
