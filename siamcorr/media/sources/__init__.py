"""Sources: read frames from files, folders, cameras, streams and standard input."""
