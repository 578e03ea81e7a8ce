"""The interchangeable ways to compute a correlation, one file each, one signature.

Each file has `naive`, `batched` and `depthwise`. They get arguments that are already checked,
padded and scaled, and return the response without padding: H' = H - h + 1, W' = W - w + 1.
"""
