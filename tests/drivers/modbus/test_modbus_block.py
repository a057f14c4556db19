"""What is asked together, and the parts of what is refused."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.block import Block, blocks
from drivers.modbus.register import Register


def at(*places, function=3):
    return [
        Register(name=f"r{a}w{w}", address=a, type="u16" if w == 1 else "u32", function=function)
        for a, w in places
    ]


def spans(found):
    return [(it.address, it.count) for it in found]


def whole(*places):
    (block,) = blocks(at(*places), join=100)
    return block


def test_gaps_are_cut_first():
    block = whole((1, 2), (3, 1), (7, 1), (20, 2))
    assert spans([block]) == [(1, 21)]
    assert spans(block.parts()) == [(1, 3), (7, 1), (20, 2)]


def test_then_halves_then_single_values():
    block = whole((1, 1), (2, 1), (3, 2), (5, 1), (6, 1))
    assert spans(block.parts()) == [(1, 2), (3, 4)]
    assert spans(block.parts()[1].parts()) == [(3, 2), (5, 2)]
    assert Block(tuple(at((1, 2)))).parts() == []


def test_values_of_one_place_stay_together():
    flags = [Register(name=f"f{bit}", address=9, type="u16", bit=bit) for bit in range(4)]
    (block,) = blocks(flags)
    assert block.parts() == []
    (block,) = blocks([*flags, Register(name="wide", address=8, type="u32"), *at((10, 1))])
    assert spans(block.parts()) == [(8, 2), (10, 1)]


def leaves(block):
    parts = block.parts()
    return [leaf for part in parts for leaf in leaves(part)] if parts else [block]


places = st.lists(st.tuples(st.integers(0, 200), st.sampled_from([1, 2])), min_size=1, unique=True)


@given(places, st.integers(0, 20), st.sampled_from([3, 4]))
def test_every_value_is_asked_for_once_however_small_the_parts(where, join, function):
    registers = at(*where, function=function)
    found = blocks(registers, join)
    names = [it.name for block in found for it in block.registers]
    assert sorted(names) == sorted(it.name for it in registers)
    assert all(block.count <= 125 for block in found)
    small = [it.name for block in found for leaf in leaves(block) for it in leaf.registers]
    assert small == names
    for block in found:
        for part in block.parts():
            assert part.function == function
            assert block.address <= part.address
            assert part.address + part.count <= block.address + block.count
            assert len(part.registers) < len(block.registers)
