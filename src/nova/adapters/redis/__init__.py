"""Redis Cluster: what sockets hear, by sharded pub/sub."""
