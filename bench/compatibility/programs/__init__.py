"""How each program is started, and how its answers are judged."""
