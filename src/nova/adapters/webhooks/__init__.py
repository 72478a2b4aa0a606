"""Webhooks over HTTP/1.1 and HTTP/2, to public addresses only."""
