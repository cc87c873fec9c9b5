"""Pull handlers of Spark."""
