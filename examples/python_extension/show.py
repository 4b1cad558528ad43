"""Print what the extension module says, again and again: the function and the object are from before every change."""

import sys
import time

from thermometer import Thermometer, describe

mine = Thermometer()
mine.celsius = 36.6
for _second in range(int(sys.argv[1])):
    print(describe(20), mine.read(), mine, sep=" | ", flush=True)
    time.sleep(0.2)
