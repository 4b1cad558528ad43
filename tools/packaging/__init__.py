"""What packages have besides the program, made from what the program says of itself: manual pages, completions, the
configuration file. `python3 -m tools.packaging FOLDER` writes all of it below a folder, as it is installed."""
