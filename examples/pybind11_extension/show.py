"""Draw a wave, line by line: the object is from before every change."""

import sys
import time

from waves import Wave, shape

wave = Wave(0.3)
for _line in range(int(sys.argv[1])):
    print(f"{shape():9} {wave.at:6.1f} {wave.next()}", flush=True)
    time.sleep(0.1)
