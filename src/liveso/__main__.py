"""`python -m liveso`."""

from liveso.cli import main

main()
