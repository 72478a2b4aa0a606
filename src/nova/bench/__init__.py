"""The published numbers, measured from outside: real server processes, real clients."""
