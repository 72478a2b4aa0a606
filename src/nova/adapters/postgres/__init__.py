"""PostgreSQL: the truth, over asyncpg, and the server that Nova brings along."""
