"""Web Push: RFC 8030 (delivery), 8291 (encryption), 8292 (VAPID)."""
