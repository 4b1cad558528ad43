"""Real programs under load, while Debian's versions of their libraries change."""
