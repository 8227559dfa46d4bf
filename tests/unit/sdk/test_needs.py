"""Requirements, from wherever users keep them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.sdk.functions.needs import Requirements, read_requirements

SCRIPT = '"""Doc."""\n\n# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n#   "rich>=13",\n# ]\n# ///\nimport rich\n'


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (None, ()),
        ([], ()),
        (["torch", "numpy>=1.26"], ("torch", "numpy>=1.26")),
        (["math", " json ", "tomli-w"], ("tomli-w",)),
    ],
)
def test_lists(given: Requirements, lines: tuple[str, ...]) -> None:
    assert read_requirements(given) == lines


@pytest.mark.parametrize("as_path", [str, Path])
@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        (
            "requirements.txt",
            "# all\n\nnumpy>=1.26  # for arrays\ntorch==2.4 \\\n  ; python_version > '3'\nmath\n",
            ("numpy>=1.26", "torch==2.4 ; python_version > '3'"),
        ),
        (
            "pyproject.toml",
            "[project]\nname = 'x'\ndependencies = ['numpy', 'rich>=13']\n",
            ("numpy", "rich>=13"),
        ),
        ("pyproject.toml", "[tool.other]\nx = 1\n", ()),
        ("script.py", SCRIPT, ("rich>=13",)),
    ],
)
def test_files(tmp_path: Path, as_path: type, name: str, text: str, lines: tuple[str, ...]) -> None:
    (tmp_path / name).write_text(text)
    assert read_requirements(as_path(tmp_path / name)) == lines


def test_a_list_may_include_others_but_not_itself(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "common.txt").write_text("numpy\n-r more.txt\n")
    (tmp_path / "base" / "more.txt").write_text("rich\n")
    top = tmp_path / "requirements.txt"
    top.write_text("torch\n-r base/common.txt\n--requirement=base/more.txt\n")
    assert read_requirements(top) == ("torch", "numpy", "rich", "rich")
    (tmp_path / "base" / "more.txt").write_text("-r ../requirements.txt\n")
    with pytest.raises(ValidationError, match="includes itself"):
        read_requirements(top)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "[project", "is no TOML"),
        ("a.toml", "[project]\ndependencies = 'numpy'\n", "expected a list of texts"),
        ("a.py", "import this\n", "0 blocks `# /// script`: expected one"),
        ("a.py", SCRIPT + SCRIPT, "2 blocks"),
        ("a.txt", b"\xff", "is no UTF-8 text"),
        ("missing.txt", None, "cannot be read: No such file"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(
    tmp_path: Path, name: str, text: str | bytes | None, said: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValidationError, match=said) as caught:
        read_requirements(path)
    assert str(path) in str(caught.value)
