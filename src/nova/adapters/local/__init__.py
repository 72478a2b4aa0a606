"""What needs no engine: kept in the memory of the process."""
