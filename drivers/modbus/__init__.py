"""Modbus, RTU and TCP, for whatever a register map describes.

`wire/` is the protocol; `profile.py` a maker's map, `register.py` one value of it, `values.py` the
bytes of numbers, `contradictions.py` what is wrong with a map, `block.py` what is read together;
`unit.py` the conversation with one device, `reader.py` and `writer.py` its two directions,
`driver.py` all of it on a bus; `prober.py` finds devices. How it is used: docs/modbus.md.
"""
