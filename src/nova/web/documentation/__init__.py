"""The documentation that a server serves at /docs: guides, and the API by groups."""
