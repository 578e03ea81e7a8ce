"""Adaptors to other packages: one file each; the package is imported when it is needed."""
