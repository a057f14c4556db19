"""The virtual meters are what the demo shows: an independent master must find them right too."""

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient

from drivers.bus.bus import Bus
from drivers.cjt188 import wire as cjt188
from drivers.modbus import wire
from drivers.modbus.wire import ReadRequest, Refusal, rtu
from drivers.sim.meter_cjt188 import VirtualCjt188Meter
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from gateway.settings import BusSettings


async def test_an_independent_master_reads_the_virtual_meter():
    flow = WaterFlow(litres_per_hour=0.0, total_litres=12_345.0)
    with VirtualBus() as line:
        line.add(VirtualModbusMeter(1, "bove", flow))
        client = AsyncModbusSerialClient(
            line.port, framer=FramerType.RTU, baudrate=115_200, timeout=5, retries=0
        )
        assert await client.connect()
        answer = await client.read_holding_registers(1, count=34, device_id=1)
        client.close()
    assert not answer.isError()
    kind = client.DATATYPE.UINT32
    assert client.convert_from_registers(answer.registers[6:8], kind, word_order="little") == 12_345
    assert answer.registers[29] == 1850


@pytest.mark.parametrize(("address", "count"), [(0, 2), (34, 2), (1, 35), (500, 1)])
def test_registers_it_does_not_have(address, count):
    request = ReadRequest(1, 3, address, count)
    ((_, said),) = VirtualModbusMeter(1, "bove").hear(rtu.encode(request))
    assert rtu.Answer(request).feed(said) == Refusal(2)


@pytest.mark.parametrize(
    "telegram",
    [
        b"",
        b"\x01\x03",
        rtu.encode(ReadRequest(2, 3, 1, 2)),
        rtu.encode(ReadRequest(1, 4, 1, 2)),
        rtu.frame(1, wire.encode_answer(ReadRequest(1, 3, 1, 2), bytes(4))),
        cjt188.encode(cjt188.address_request("low-first")),
    ],
)
def test_what_is_not_for_it(telegram):
    assert list(VirtualModbusMeter(1).hear(telegram)) == []


async def test_the_only_meter_on_the_line_tells_its_address():
    with VirtualBus() as line:
        line.add(VirtualModbusMeter(1))
        line.add(VirtualCjt188Meter("78330011223344"))
        bus = Bus(BusSettings("wires", line.port, 2400, "E"))
        request = cjt188.address_request("high-first")
        answer = await bus.transact(cjt188.encode(request), cjt188.FrameAnswer(request), 5.0)
        await bus.close()
    assert cjt188.printed_address(answer.address) == "78330011223344"


def test_water_runs_as_it_is_told():
    now = 100.0
    flow = WaterFlow(litres_per_hour=60.0, total_litres=5.0, clock=lambda: now)
    assert flow.total_litres == 5.0
    now += 60.0
    assert flow.total_litres == pytest.approx(6.0)
    flow.litres_per_hour = 3600.0
    now += 2.0
    assert flow.total_litres == pytest.approx(8.0)
