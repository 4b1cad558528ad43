"""Programs for work on liveso. Those that are one file are run by themselves; tools.packaging is a package."""
