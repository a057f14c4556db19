"""CJ/T 188, the protocol of Chinese water meters: the frames and the driver."""
