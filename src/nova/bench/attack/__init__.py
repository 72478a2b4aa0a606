"""`nova bench attack`: what strangers, and people with an account, can do to a server."""
