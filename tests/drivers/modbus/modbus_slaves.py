"""Slaves that others wrote, all with the same content, on a serial line and on a network.

Holding register a and input register a begin with 100 + a and 200 + a; every third coil and every
second input is on. `libmodbus_slave.py` has the same.
"""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import libmodbus_slave
from pty_bridge import PtyBridge
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

UNIT = 7
PLACES = 64
RIG = Path(libmodbus_slave.__file__)


def _device():
    def words(first):
        return [SimData(0, values=[first + n for n in range(PLACES)], datatype=DataType.REGISTERS)]

    def bits(step):
        values = [n % step == 0 for n in range(PLACES)]
        return [SimData(0, values=values, datatype=DataType.BITS)]

    return SimDevice(id=UNIT, simdata=(bits(3), bits(2), words(100), words(200)))


@asynccontextmanager
async def pymodbus_rtu():
    with PtyBridge() as bridge:
        server = ModbusSerialServer(_device(), port=bridge.paths[0], baudrate=115_200)
        await server.serve_forever(background=True)
        try:
            yield bridge.paths[1]
        finally:
            await server.shutdown()


@asynccontextmanager
async def pymodbus_tcp():
    server = ModbusTcpServer(_device(), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        port = server.transport.sockets[0].getsockname()[1]
        yield f"modbus-tcp://127.0.0.1:{port}"
    finally:
        await server.shutdown()


@asynccontextmanager
async def _libmodbus(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, RIG, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            said = (await process.stdout.readline()).decode().split()
        assert said[:1] == ["ready"]
        yield said[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def libmodbus_rtu():
    with PtyBridge() as bridge:
        async with _libmodbus("rtu", bridge.paths[0], str(UNIT)):
            yield bridge.paths[1]


@asynccontextmanager
async def libmodbus_tcp():
    async with _libmodbus("tcp") as port:
        yield f"modbus-tcp://127.0.0.1:{port}"
