"""What a page in Chinese and its English page do not have in common.

Words are a translator's business. What a reader copies, types or relies on is not: a forgotten row,
a default that was changed on one page only, a command that is no longer the same.

Section by section, as headings follow each other:
- blocks of code are the same line by line; comments, and what is put in Chinese, may differ;
- tables have the same rows and columns in the same order;
- a row, and the text of a section, have the same figures, the same `names`, the same addresses of
  other sites. A figure may be in words on either side; a name in Chinese is one in CAPITALS.
"""

from __future__ import annotations

import re
from typing import NamedTuple

CHINESE = re.compile(r"[\u3400-\u9fff]")
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)]*)\)")
# 2G and 8E1 are names, and p50 is one that is left to the words. (?>...): a whole number or none.
DESIGNATION = re.compile(r"(?<![A-Za-z\d])\d+[A-Z][A-Za-z\d]*")
NUMBER = re.compile(
    r"(?<![A-Za-z\d])((?>\d+(?:,\d{3})*(?:\.\d+)*))(?![A-Za-z])\s*(million|billion|[千万亿])?"
)
SCALES = {"million": 10**6, "billion": 10**9, "千": 1000, "万": 10**4, "亿": 10**8}

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ENGLISH = {word: float(n) for n, word in enumerate([*WORDS, "eleven", "twelve"])}
ENGLISH |= {word: 10.0 * n for n, word in enumerate(TENS, 2)}
ENGLISH |= {"hundred": 100, "thousand": 1000, "million": 10**6}
ENGLISH |= {"a": 1, "an": 1, "once": 1, "twice": 2, "half": 0.5, "fifth": 5, "tenth": 10}
DIGITS = {digit: float(n) for n, digit in enumerate("零一二三四五六七八九十")}
DIGITS |= {"两": 2, "半": 0.5, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}


class Part(NamedTuple):
    """A row of a table, or the text of a section."""

    shown: str  # for whoever mends it
    words: str  # without code and links
    names: set[str]
    sites: set[str]


class Section(NamedTuple):
    """What stands under a heading."""

    blocks: list[list[str]]
    tables: list[list[Part]]
    text: Part


def sections(page: str) -> list[Section]:
    """The parts of a page, each with its heading."""
    parts: list[str] = []
    within = False
    for line in page.splitlines(keepends=True):
        within ^= line.startswith("```")
        if line.startswith("#") and not within:
            parts.append("")
        parts[-1] += line
    return [section(it) for it in parts]


def section(text: str) -> Section:
    blocks = [it.splitlines() for it in BLOCK.findall(text)]
    text = BLOCK.sub("", text)
    tables = [[part(row) for row in it.splitlines()] for it in TABLE.findall(text)]
    return Section(blocks, tables, part(TABLE.sub("", text)))


def part(text: str) -> Part:
    sites = {it for it in LINK.findall(text) if it.startswith("http")}
    words = LINK.sub("]", text)
    names = {" ".join(it.split()) for it in CODE.findall(words)}
    words = CODE.sub("", words)
    names |= set(DESIGNATION.findall(words))
    return Part(" ".join(text.split())[:60], words, names, sites)


def without_comment(line: str) -> str:
    """A line as a machine reads it; the lines of a drawing may be longer or shorter."""
    return re.sub("─+", "─", " ".join(re.sub(r"(^|\s)# .*", "", line).split()))


def same_line(zh: str, en: str) -> bool:
    """Whether a line of code is the same; what is in Chinese stands for anything."""
    zh, en = without_comment(zh), without_comment(en)
    if not CHINESE.search(zh):
        return zh == en
    return all(it in en for it in re.findall(r"[\w=./-]+", zh, re.ASCII))


def figures(text: str) -> set[float | str]:
    """What is written in digits; a version as it stands."""
    plain = [(number.replace(",", ""), scale) for number, scale in NUMBER.findall(text)]
    return {it if it.count(".") > 1 else float(it) * SCALES.get(scale, 1) for it, scale in plain}


def in_words(text: str) -> set[float]:
    """What is, or may be, a figure in words."""
    english = {ENGLISH[it] for it in re.findall("[a-z]+", text.lower()) if it in ENGLISH}
    return english.union(*map(values, re.findall(f"[{''.join(DIGITS)}]+", text)))


def values(numeral: str) -> set[float]:
    """What 二十四 or 五百 is, and what each of its characters is."""
    total = ones = 0.0
    for digit in map(DIGITS.__getitem__, numeral):
        total, ones = (total + (ones or 1) * digit, 0.0) if digit >= 10 else (total, digit)
    return {total + ones, *map(DIGITS.__getitem__, numeral)}


def lacking_figures(some: Part, other: Part) -> set[float | str]:
    """Figures of `other` that `some` has neither in digits nor in words."""
    return figures(other.words) - figures(some.words) - in_words(some.words)


def lacking_names(zh: Part, en: Part) -> set[str]:
    """Names of the English page that the Chinese one has neither as they are nor in Chinese."""
    in_chinese = [re.split(r"[^\x00-\x7f]+", it) for it in zh.names if CHINESE.search(it)]
    patterns = [re.compile("[A-Z]+".join(map(re.escape, it))) for it in in_chinese]
    return {it for it in en.names - zh.names if not any(p.fullmatch(it) for p in patterns)}


def differing_parts(zh: Part, en: Part) -> list[str]:
    only_english = lacking_names(zh, en) | lacking_figures(zh, en) | en.sites - zh.sites
    surplus = {it for it in zh.names - en.names if not CHINESE.search(it)}
    only_chinese = surplus | lacking_figures(en, zh) | zh.sites - en.sites
    return [
        *(f"only in English: {it} ({en.shown})" for it in only_english),
        *(f"only in Chinese: {it} ({zh.shown})" for it in only_chinese),
    ]


def differing_tables(zh: list[Part], en: list[Part]) -> list[str]:
    if [it.words.count("|") for it in zh] != [it.words.count("|") for it in en]:
        return [f"other rows or columns: {en[0].shown}"]
    return [it for rows in zip(zh, en, strict=True) for it in differing_parts(*rows)]


def differing_blocks(zh: list[str], en: list[str]) -> list[str]:
    if len(zh) != len(en):
        return [f"more or fewer lines of code: {en[0]}"]
    pairs = zip(zh, en, strict=True)
    return [f"other code: {one}" for one, other in pairs if not same_line(one, other)]


def differences(zh: str, en: str) -> list[str]:
    """What a page and its English page do not have in common."""
    found, ours, theirs = [], sections(zh), sections(en)
    if len(ours) != len(theirs):
        return [f"{len(ours)} headings, and {len(theirs)} in English"]
    for one, other in zip(ours, theirs, strict=True):
        if (len(one.blocks), len(one.tables)) != (len(other.blocks), len(other.tables)):
            found.append(f"more or fewer tables or blocks of code ({other.text.shown})")
            continue
        for blocks in zip(one.blocks, other.blocks, strict=True):
            found += differing_blocks(*blocks)
        for tables in zip(one.tables, other.tables, strict=True):
            found += differing_tables(*tables)
        found += differing_parts(one.text, other.text)
    return found
