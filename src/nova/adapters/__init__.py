"""The engines: each answers a port, and nothing above it knows a vendor's name."""
