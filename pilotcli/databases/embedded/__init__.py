"""The embedded PostgreSQL: a private server in pilot's folder, reached over a Unix socket."""
