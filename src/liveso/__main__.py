from liveso.cli import main

main()
