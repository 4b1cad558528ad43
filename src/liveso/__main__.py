"""`python -m liveso`: a script, `-m` and a module, or `-c` and code; or a subcommand of `liveso`."""

import sys

from liveso.cli import COMMANDS, main
from liveso.cli.python import is_program, note_of_script, run_python

words = sys.argv[1:]
if is_program(words, tuple(COMMANDS)):
    main(lambda: run_python(words))
if words and (note := note_of_script(words[0])):
    print(f"liveso: {note}", file=sys.stderr)
main()
