"""Tasks: the queries, and beside them the tools that call them."""
