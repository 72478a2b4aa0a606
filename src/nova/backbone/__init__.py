"""The log's machinery: transactions with facts, readers, groups, leases, retries, dead letters."""
