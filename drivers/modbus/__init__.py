"""Modbus RTU: the frames, the numbers in registers, the makers' register maps, the driver."""
