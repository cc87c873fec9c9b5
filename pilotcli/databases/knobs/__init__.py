"""Server settings that outlive a query, and the restarts that some of them need."""
