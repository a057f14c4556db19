"""A page in Chinese says what its English page says: commands, names and figures.

And it is set as Chinese is, like the words on screens.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from translation import differences

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
WRITTEN_IN_CHINESE = [
    ROOT / "README.zh.md",
    *DOCS.glob("*.zh.md"),
    *(ROOT / "config").glob("*.toml"),
    *(it for part in ("gateway", "drivers", "collector") for it in (ROOT / part).rglob("*.py")),
]
# A comma, semicolon, ! or ? of Latin letters beside a Chinese character. Colons and brackets also
# stand in addresses, links and formats.
LATIN = re.compile(r"[\u4e00-\u9fff][,;!?]|[,;!?][\u4e00-\u9fff]")
PAGES = sorted(it.name.removesuffix(".zh.md") for it in DOCS.glob("*.zh.md"))


def read(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_the_chinese_page_has_the_same_commands_names_and_figures(page):
    assert differences(read(f"{page}.zh.md"), read(f"{page}.md")) == []


@pytest.mark.parametrize("page", PAGES)
def test_both_pages_lead_to_each_other(page):
    assert f"[中文]({page}.zh.md)" in read(f"{page}.md").splitlines()
    assert f"[English]({page}.md)" in read(f"{page}.zh.md").splitlines()


def test_chinese_has_its_own_punctuation():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in WRITTEN_IN_CHINESE
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if LATIN.search(line)
    ]
    assert found == []


ENGLISH_PAGE = """# T

Wait 30 s for `hearth status`, five times.

```
hearth check -c FILE     # every fault
```

| key | default |
|---|---|
| `deliver` | 15 |
| `forget` | 86,400 |
"""
CHINESE_PAGE = """# 题

`hearth status` 等 30 秒，5 次。

```
hearth check -c 文件     # 全部错误
```

| 参数 | 默认 |
|---|---|
| `deliver` | 15 |
| `forget` | 86,400 |
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("| `deliver` | 15 |\n", ""),
        ("| 15 |", "| 20 |"),
        ("86,400", "8,640"),
        ("`forget`", "`forgotten`"),
        ("`forget`", "遗忘"),
        ("30 秒", "40 秒"),
        ("30 秒", "一会儿"),
        ("5 次", "6 次"),
        ("`hearth status`", "`hearth state`"),
        ("hearth check", "hearth verify"),
        ("hearth check -c 文件     # 全部错误\n", ""),
        ("# 题", "# 题\n\n## 又一题"),
    ],
)
def test_what_was_forgotten_or_changed_is_found(right, wrong):
    assert differences(CHINESE_PAGE, ENGLISH_PAGE) == []
    assert right in CHINESE_PAGE
    assert differences(CHINESE_PAGE.replace(right, wrong), ENGLISH_PAGE) != []
