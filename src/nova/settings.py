"""To be filled by the composition root."""
