"""Two serial ports, connected: what goes into one comes out of the other."""

import asyncio
import os
import tty


class PtyBridge:
    def __enter__(self):
        self.pairs = [os.openpty() for _ in range(2)]
        self.paths = [os.ttyname(slave) for _, slave in self.pairs]
        masters = [master for master, _ in self.pairs]
        for master, slave in self.pairs:
            tty.setraw(slave)
            os.set_blocking(master, False)
        for source, sink in (masters, masters[::-1]):
            asyncio.get_running_loop().add_reader(source, self._copy, source, sink)
        return self

    def __exit__(self, *exc):
        for master, slave in self.pairs:
            asyncio.get_running_loop().remove_reader(master)
            os.close(master)
            os.close(slave)

    def _copy(self, source, sink):
        os.write(sink, os.read(source, 4096))
