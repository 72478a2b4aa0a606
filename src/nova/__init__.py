"""Nova: a self-hosted, real-time social backend over one event log."""

__version__ = "0.1.0"
