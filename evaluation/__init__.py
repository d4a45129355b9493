"""The benchmark between its command line and its parts: what lies where, what to run, results."""
