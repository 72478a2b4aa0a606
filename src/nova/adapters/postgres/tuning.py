"""Settings of the embedded server: two cores, few connections, tables that mostly grow."""

from collections.abc import Mapping

SETTINGS: Mapping[str, str] = {
    # Reached through a socket file only.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "100",
    # Durable: what was acknowledged survives a crash of the machine.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Memory for a small machine; the file cache of the kernel does the rest.
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    # Few checkpoints, and space for bursts of inserts. New log files are not zeroed.
    "wal_buffers": "16MB",
    "wal_init_zero": "off",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "log_checkpoints": "off",
    # Statements take a millisecond: planning for parallel workers costs more than it saves.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_worker_processes": "4",
    "random_page_cost": "1.1",
    # Tables that only grow are vacuumed and analyzed by their inserts, early and in small steps.
    "autovacuum_max_workers": "2",
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "1000",
    "log_autovacuum_min_duration": "-1",
    # The log file grows with crashes, not with the errors of statements, and holds no values.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "nova",
}
