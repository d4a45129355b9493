"""Model files: found, downloaded, checked and loaded."""
