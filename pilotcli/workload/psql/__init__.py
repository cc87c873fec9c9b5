"""Scripts split as psql splits them."""
