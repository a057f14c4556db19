"""One pair of wires, several meters, several protocols: who may talk when.

RS-485 has no arbitration and Modbus RTU no transaction id, so everything that could make one
device's answer pass for another's is settled here, once, below the protocols:

- one process owns the port (exclusive open), one transaction has the line (first come, first
  served, a transaction at a time, so a device with many requests takes turns with the others);
- the line is silent for 3.5 characters before each request (Modbus over serial line V1.02,
  2.5.1.1), and everything that was received by then is thrown away;
- a device that did not answer in time may still do so. What comes too late from *that* device could
  pass for the answer to its next request, so it is not asked again until twice its time-out has
  gone by. The others need not wait for that: their answers carry their own address, and a late
  frame of another address is noise to them.

So a dead device costs the others its time-out and nothing more. What remains: a device that is
later than three times its time-out, and whose profile reads several blocks of equal length with the
same function. The remedy is a longer `timeout`.

`link.py` is the port, `bus.py` the rules above, `meter.py` the schedule all meters share.
"""
