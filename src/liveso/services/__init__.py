"""What is started and ended together (units, sessions, containers, commands), which of these run old code, and the
mildest thing that mends it."""
