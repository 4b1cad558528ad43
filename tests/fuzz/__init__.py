"""Damaged libraries: whatever a file holds must end in a verdict or a clear error, within bounds of time and memory."""
