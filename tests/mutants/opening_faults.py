"""Opening, locking, repairing, looking. See table.py."""

from __future__ import annotations

from mutant import LANE_TESTS, Mutant

SALVAGE = [
    Mutant(
        "creation-without-sync-dir",
        "salvage.py",
        "            self._files.sync_dir(self._folder)\n        except OSError:\n",
        "        except OSError:\n",
        "the names of new segments are durable before one is used",
    ),
    Mutant(
        "aside-without-sync-dir",
        "salvage.py",
        "lambda: self._files.sync_dir(self._folder))",
        "lambda: None)",
        "a segment set aside stays aside",
    ),
    Mutant(
        "damaged-written-over",
        "salvage.py",
        "keep = room > 0 and",
        "keep = room < 0 and",
        "a damaged segment is kept for inspection",
    ),
    Mutant(
        "too-few-segments-left",
        "salvage.py",
        "len(self.free) >= MIN_SEGMENTS\n            if not keep",
        "len(self.free) >= 0\n            if not keep",
        "I5: it always starts, also when every segment is damaged",
    ),
    Mutant(
        "refused-repair-stops-the-start",
        "salvage.py",
        '            self.notes.append(f"{what}: {error}")\n',
        "            raise\n",
        "I5: it always starts, also when the flash refuses every repair",
    ),
    Mutant(
        "unreadable-file-stops-the-start",
        "salvage.py",
        '        except OSError as error:\n            self._trouble.notes.append(f"open',
        '        except ZeroDivisionError as error:\n            self._trouble.notes.append(f"open',
        "I5: it always starts, also with a file that cannot be opened",
    ),
    Mutant(
        "small-store-refused",
        "salvage.py",
        "if len(self.used) + len(self.free) < MIN_SEGMENTS:",
        "if len(self.used) + len(self.free) < 10**9:",
        "I5: a store that lacks some of its quota is worked with",
    ),
    Mutant(
        "cut-short-file-used",
        "salvage.py",
        "for segment in self.free if segment.size != size]",
        "for segment in self.free if segment.size == 0]",
        "a segment file that creation left unfinished is not written",
    ),
    Mutant(
        "leftovers-not-erased",
        "salvage.py",
        "        if not verdict.erase_through:\n            return True\n",
        "        if verdict:\n            return True\n",
        "I6: leftovers are gone before anything new is written",
    ),
    Mutant(
        "written-behind-leftovers",
        "salvage.py",
        "sealed = not self._erase_leftovers(verdict)",
        "sealed = self._erase_leftovers(verdict) is None",
        "I6: where leftovers could not be erased nothing is written",
    ),
    Mutant(
        "forgotten-gaps-not-saved",
        "salvage.py",
        '            self._trouble.attempt("save meta", meta.save)\n',
        "            pass\n",
        "the seq of a gap event that never was does not vouch for another event's",
    ),
    Mutant(
        "acknowledged-told-as-lost",
        "salvage.py",
        "(max(first, acknowledged + 1), last)",
        "(first, last)",
        "I4: a gap covers no event that is stored over there",
    ),
    Mutant(
        "seqs-begin-again",
        "salvage.py",
        "return Verdict(BLOCK, proven + 1, lost, 0)",
        "return Verdict(BLOCK, 1, lost, 0)",
        "a seq is given once, also when every segment is gone",
    ),
    Mutant(
        "numbers-begin-again",
        "salvage.py",
        "number = max([known.number if known else 0, *map(_number, self.used)])",
        "number = max([0, *map(_number, self.used)])",
        "a number is given once, also when the newest segment is lost",
    ),
    Mutant(
        "newest-not-rescued",
        "salvage.py",
        "if newest is None or any(",
        "if newest is None or newest or any(",
        "the newest segment is read also without its headers",
    ),
    Mutant(
        "overtaken-not-rescued",
        "salvage.py",
        "any(_number(segment) == newest.number for",
        "any(_number(segment) >= newest.number for",
        "a segment that an older slot of meta calls the newest is read without its headers",
    ),
    Mutant(
        "leftovers-of-a-life-rescued",
        "salvage.py",
        "if found.spans and (not overtaken or found.spans[0].start == BLOCK):",
        "if found.spans:",
        "what was acknowledged in an earlier life of a segment is not read again",
    ),
    Mutant(
        "rescued-out-of-order",
        "salvage.py",
        "                    self.used.sort(key=_number)\n",
        "",
        "segments are ordered by number",
    ),
    Mutant(
        "rescued-headers-not-written",
        "salvage.py",
        '"write headers", partial(segment.restore_header, twice=whole)',
        '"write headers", lambda whole=whole: whole',
        "the newest segment has its headers again once it was rescued",
    ),
    Mutant(
        "opening-frees-one-event-early",
        "salvage.py",
        "live[1].first_seq - 1 <= acknowledged",
        "live[1].first_seq - 2 <= acknowledged",
        "a segment is free when its last event is acknowledged",
    ),
    Mutant(
        "foreign-segments-believed",
        "salvage.py",
        "header.lane is self._lane and header.journal == meta.state.journal",
        "header.lane is self._lane",
        "a segment of another journal is not read as ours",
    ),
    Mutant(
        "foreign-lane-believed",
        "salvage.py",
        "header.lane is self._lane and header.journal == meta.state.journal",
        "header.journal == meta.state.journal",
        "a segment of the other lane is not read as this one's",
    ),
    Mutant(
        "no-room-not-noticed",
        "salvage.py",
        "        if need > room:\n",
        "        if need < 0:\n",
        "a disk without room for the quota is said at the start",
    ),
    Mutant(
        "quota-passed",
        "salvage.py",
        "missing = geometry.total_bytes // size - there",
        "missing = 1 + geometry.total_bytes // size - there",
        "I8: disk use never passes the quota",
    ),
    Mutant(
        "smaller-quota-ignored",
        "salvage.py",
        "surplus = -missing if may_shrink else 0",
        "surplus = 0",
        "I8: a quota made smaller gives its room back",
    ),
    Mutant(
        "repair-shrinks-the-store",
        "salvage.py",
        "surplus = -missing if may_shrink else 0",
        "surplus = -missing",
        "a repair knows no quota, and takes nothing away",
    ),
    Mutant(
        "newest-not-made-certain",
        "salvage.py",
        "uncertain = self._make_certain(verdict, meta.state.durable[self._lane])",
        "uncertain = ()",
        "I1: what a killed process left in the cache is durable before it counts",
    ),
    Mutant(
        "header-over-records-of-a-short-file",
        "salvage.py",
        "whole = segment.size == self._segment_size()",
        "whole = bool(segment)",
        "the end of a file that was cut short holds records, not a header",
    ),
    Mutant(
        "interrupted-eviction-not-finished",
        "salvage.py",
        "        meta.give_up_told(self._lane)\n",
        "",
        "an eviction whose gap was told is finished at the next start, and told once",
    ),
    Mutant(
        "short-file-with-records-removed",
        "salvage.py",
        "            if any(segment.read_all()):",
        "            if not segment.read_all():",
        "a damaged segment is kept for inspection, also one that was cut short",
    ),
]

STORE = [
    Mutant(
        "unknown-version-stops-the-start",
        "store.py",
        "    except UnknownVersion:\n",
        "    except ZeroDivisionError:\n",
        "I5: it always starts, also on a store of a later format",
    ),
    Mutant(
        "unreadable-meta-stops-the-start",
        "store.py",
        "    except OSError as error:  # perhaps",
        "    except ZeroDivisionError as error:  # perhaps",
        "I5: it always starts, also with a meta that cannot be opened",
    ),
    Mutant(
        "rebuilt-meta-takes-a-new-name",
        "store.py",
        "headers[-1].journal if headers else uuid_module.uuid4().bytes",
        "uuid_module.uuid4().bytes",
        "a lost meta costs no event: the segments say whose they are",
    ),
    Mutant(
        "rebuilt-cursor-at-the-beginning",
        "store.py",
        "acknowledged = (oldest[Lane.URGENT] - 1, oldest[Lane.ROUTINE] - 1)",
        "acknowledged = (0, 0)",
        "I4: a lost meta does not make recycled events a loss",
    ),
    Mutant(
        "names-not-made-certain",
        "store.py",
        "for path in (folder, *(lane_folder(folder, lane) for lane in Lane))",
        "for path in ()",
        "names that a killed process left in the cache are durable before they count",
    ),
    Mutant(
        "meta-not-made-certain",
        "store.py",
        '        actions["save meta"] = meta.save\n',
        "        pass\n",
        "what a killed process left in the cache of meta is durable before it counts",
    ),
    Mutant(
        "refused-at-opening-forgotten",
        "store.py",
        "opened.first = (*uncertain, *opened.first)",
        "opened.first = tuple(opened.first)",
        "what the flash refused at opening is done before anything is confirmed",
    ),
    Mutant(
        "unreadable-meta-written-over",
        "store.py",
        "        return Meta(files, -1, 0, _rebuild(salvages))\n",
        "        meta = None\n",
        "a meta that cannot be read now is not written over",
    ),
]

JOURNAL = [
    Mutant(
        "urgent-waits-as-routine",
        "journal.py",
        "interval_s=0.0 if lane is Lane.URGENT else self._commit_interval_s,",
        "interval_s=self._commit_interval_s,",
        "I7: a call is written at once",
        LANE_TESTS,
    ),
    Mutant(
        "routine-takes-urgent-segments",
        "journal.py",
        "            opened=opened,\n",
        "            opened=msgspec.structs.replace(\n"
        '                opened, free=self.__dict__.setdefault("shared", opened.free)\n'
        "            ),\n",
        "I8: urgent's room is its own",
    ),
    Mutant(
        "flush-stops-at-the-first-refusal",
        "journal.py",
        "except JournalWriteFailed as error:  # the other",
        "except ZeroDivisionError as error:  # the other",
        "a refusal in one lane does not cut short the wait for the other",
    ),
]

LOCK = [
    Mutant(
        "lock-not-taken",
        "lock.py",
        "        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "        fcntl.flock(fd, fcntl.LOCK_UN)\n",
        "one writer a journal",
    ),
    Mutant(
        "lock-wants-its-number-written",
        "lock.py",
        "with suppress(OSError):",
        "with suppress(ZeroDivisionError):",
        "I5: it always starts, also where not a byte can be written",
    ),
    Mutant(
        "owner-not-seen",
        "lock.py",
        'return "" if _try(fd) else _holder(fd)',
        'return "" if fd else _holder(fd)',
        "a repair is not foretold of a journal that a daemon writes",
    ),
]

REPAIR = [
    Mutant(
        "repair-without-the-lock",
        "repair.py",
        "    fd = lock(folder)\n",
        "    fd = os.open(folder, os.O_RDONLY)\n",
        "nothing is repaired under a daemon's hands",
    ),
    Mutant(
        "dry-run-writes",
        "repair.py",
        "return _open(Overlay(), folder)",
        "return _open(Telling(), folder)",
        "a dry run changes nothing",
    ),
    Mutant(
        "overlay-forgets-what-was-written",
        "overlay.py",
        "            shadow.blocks[at] = block\n",
        "            shadow.blocks = {}\n",
        "what a dry run foretells is what the repair does",
    ),
    Mutant(
        "overlay-forgets-what-was-moved",
        "overlay.py",
        "return old / path.relative_to(place)",
        "return path",
        "a dry run foretells that a store of a later format is set aside",
    ),
]

VIEW = [
    Mutant(
        "view-looks-once",
        "view.py",
        "if not found.lost or found.lost == lost_before:",
        "if found:",
        "a hole that only one look sees is no damage",
    ),
    Mutant(
        "view-ignores-the-cursor",
        "view.py",
        "if found is None or _cursor(_meta(files, folder), lane) != _cursor(meta, lane):",
        "if found is None:",
        "a segment freed during the look is no loss",
    ),
]
