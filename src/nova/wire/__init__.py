"""HTTP out: one client of HTTP/2 and HTTP/1.1, its queue, and the addresses it may reach."""
