"""The graph index in a Neo4j server, for graphs that one process should not hold."""
