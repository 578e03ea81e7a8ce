"""Sources: frames in, from files, folders, cameras, streams and standard input."""
