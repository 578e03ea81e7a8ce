"""Adaptors: one file for each foreign interface, which imports its package inside."""
