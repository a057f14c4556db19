"""I4, I5: damage anywhere in a store costs what it hit, is told of, and never stops the start."""

from __future__ import annotations

import random

import pytest
from content import Content
from damage_cases import (
    WAYS,
    Damaged,
    check_damaged,
    cut_a_file,
    damage_case,
    damage_store,
    lose_both_headers,
)
from layout import Store
from rig import ROOMY, Rig
from rig import rig as make_rig
from simdisk import SECTOR, Image, SimDisk
from workload import Habits, record

from gateway.journal.format import BLOCK
from gateway.model import Lane


@pytest.fixture
def rig(tmp_path):
    """With so many segments that the quota never takes anything."""
    with make_rig(tmp_path, ROOMY) as found:
        yield found


@pytest.fixture
def image(rig: Rig) -> Image:
    """A store with three routine segments, the first acknowledged in part; stopped cleanly."""
    recording = record(rig, 5, Habits(steps=60, largest=900, acknowledges=0.02, restarts=0.0))
    return recording.disk.image()


@pytest.mark.parametrize("seed", range(20))
def test_damage_costs_what_it_hit_and_is_told_of(seed, rig):
    recording = damage_store(rig, seed)
    for case in range(12):
        damage_case(rig, recording, random.Random(f"{seed}:{case}"))


def test_each_segment_is_used_where_it_should_be(image):
    lanes = Store.of(image).lanes
    assert len(lanes[Lane.ROUTINE]) >= 3
    assert len(lanes[Lane.URGENT]) >= 2


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_each_way_to_damage(way, rig, image):
    rng = random.Random(way.__name__)
    for _ in range(20):
        damaged = Damaged(dict(image))
        way(damaged, rng)
        check_damaged(rig, image, damaged)


def test_each_sector_of_each_kind_of_file(rig, image):
    """The meta file, a sealed segment, the newest, one that was never used: sector by sector."""
    lanes = Store.of(image).lanes
    blank = next(path for path in image if path.suffix == ".seg" and not any(image[path]))
    meta = next(path for path in image if path.name == "meta")
    for path in (meta, lanes[Lane.URGENT][0].path, lanes[Lane.ROUTINE][-1].path, blank):
        for sector in range(0, len(image[path]) // SECTOR, 1 if path == meta else 3):
            data = bytearray(image[path])
            data[sector * SECTOR : (sector + 1) * SECTOR] = b"\xa5" * SECTOR
            check_damaged(rig, image, Damaged(image | {path: bytes(data)}))


@pytest.mark.parametrize("how", ["headers", "missing", "cut", "zeros"])
def test_a_whole_segment_is_lost(how, rig, image):
    """Whichever it is: the oldest, one between, the newest."""
    for lane in Lane:
        for laid in Store.of(image).lanes[lane]:
            damaged = Damaged(dict(image))
            data = damaged.image.pop(laid.path)
            match how:
                case "headers":
                    damaged.image[laid.path] = b"\xff" * BLOCK + data[BLOCK:-BLOCK] + bytes(BLOCK)
                case "cut":
                    damaged.image[laid.path] = data[:100]
                case "zeros":
                    damaged.image[laid.path] = bytes(len(data))
            check_damaged(rig, image, damaged)


def test_the_newest_is_read_without_its_headers(rig, image):
    """`meta` knows what they said, so nothing is lost."""
    damaged = Damaged(dict(image))
    newest = Store.of(image).newest(Lane.ROUTINE)
    data = image[newest.path]
    damaged.image[newest.path] = b"\xff" * BLOCK + data[BLOCK:-BLOCK] + b"\xff" * BLOCK
    with rig.opened(damaged.disk()) as journal:
        got = Content(journal, Lane.ROUTINE)
    assert {record.seq for record in newest.records} <= got.payloads.keys()
    assert not got.gaps


def test_a_segment_cut_short_without_headers_is_not_deleted(rig, image):
    """It looks like one that was never used, and is none."""
    newest = Store.of(image).newest(Lane.ROUTINE)
    data = image[newest.path]
    cut = bytes(BLOCK) + data[BLOCK : newest.end] + bytes(BLOCK)
    disk = SimDisk(image | {newest.path: cut})
    with rig.opened(disk) as journal:
        got = Content(journal, Lane.ROUTINE)
    kept = [content for path, content in disk.image().items() if newest.path.stem in path.name]
    assert {record.seq for record in newest.records} <= got.payloads.keys() or cut in kept


def test_damage_upon_damage_keeps_two_files(rig, image):
    """A card that loses a segment every week does not fill the folder with them."""
    rng, disk = random.Random(1), SimDisk(image)
    for week in range(6):
        damaged = Damaged(disk.image())
        (lose_both_headers if week % 2 else cut_a_file)(damaged, rng)
        disk = damaged.disk()
        with rig.opened(disk) as journal:
            journal.append(Lane.URGENT, b"help %d" % week).result(5)
            Content(journal, Lane.ROUTINE)
        for lane in Lane:
            aside = [p for p in disk.image() if p.match(f"{lane.name.lower()}/*.damaged")]
            assert len(aside) <= 2
