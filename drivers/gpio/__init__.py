"""What every device on GPIO lines shares: the lines, what their edges mean, what a light shows.

`lines.py` is what a device holds, `link.py` the port, `kernel.py` libgpiod behind it, `chip.py` how
a chip is found; `wire/` says what edges mean, `watch.py` feeds it. `pattern.py` is a rhythm of
light or sound, `player.py` plays one on an output, `sign.py` lets an output tell how open calls
stand.
"""
