"""One pair of wires, several meters, several protocols: who may talk when, and how.

RS-485 has no arbitration and Modbus RTU no transaction id, so everything that could make one
device's answer pass for another's is settled here, once, below the protocols:

- one process owns the port (exclusive open), one transaction has the line (first come, first
  served, a transaction at a time, so a device with many requests takes turns with the others, and
  the poll that was due first goes first);
- each device is asked at its own baud rate and parity: the port is switched between transactions;
- the line is silent for 3.5 characters before each request (Modbus over serial line V1.02,
  2.5.1.1), and everything that was received by then is thrown away;
- a device that did not answer in time may still do so. What comes too late from *that* device could
  pass for the answer to its next request, so it is not asked again until twice its time-out has
  gone by. The others need not wait for that: their answers carry their own address, and a late
  frame of another address is noise to them.

So a dead device costs the others its time-out and nothing more. What remains: a device that is
later than three times its time-out, and whose profile reads several blocks of equal length with the
same function. The remedy is a longer `timeout`.

The port may be at the far end of a network: `socket://host:4001` is a serial server that passes
bytes on, `rfc2217://host:4001` one that also takes orders about baud rate and parity, and
`modbus-tcp://host:502` speaks Modbus TCP, whose answers carry the number of their request.

`link.py` is the port, `wires.py` the rules above, `line.py` baud rate and silence, `bus.py` what a
device sees of them, `ear.py` a question to several, `meter.py` the schedule all meters share.
"""
