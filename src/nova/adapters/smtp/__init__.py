"""Mail over SMTP (RFC 5321) through a relay."""
