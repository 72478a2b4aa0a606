"""What Nova asks of the world, as Protocols; adapters answer."""
