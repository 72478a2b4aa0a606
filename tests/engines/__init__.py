"""Real engines as ordinary processes: started on free ports in throwaway folders, and stopped."""
