from pathlib import Path

import pytest

from autointerp.within import leaves, within

OUTSIDE = [
    "../x",
    "a/../../x",
    "a/b/../../../x",
    "..",
    "/etc/passwd",
    "//host/share/x",
    "..\\x",
    "a\\..\\..\\x",
    "a/..\\..\\x",
    "\\x",
    "C:\\x",
    "c:x",
    "\\\\host\\share\\x",
    "a\0b",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_of_its_folder_on_any_system_is_refused(tmp_path: Path, name: str):
    assert leaves(name) is not None
    with pytest.raises(ValueError, match=r"it (is absolute|leads out of its folder|holds a NUL)"):
        within(tmp_path, name)


@pytest.mark.parametrize(
    "name", ["x", "a/b.png", "a/../b", "..a", "a..b/c", "…/．．/x", "ünï\u202e/☃", "a b", "%2e%2e/x"]
)
def test_any_other_name_lies_in_the_folder(tmp_path: Path, name: str):
    assert leaves(name) is None
    assert within(tmp_path, name).is_relative_to(tmp_path.resolve())


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path):
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "round").symlink_to(root / "round")
    (root / "in").symlink_to(root / "inner")

    assert within(root, "in/x") == root.resolve() / "inner" / "x"
    with pytest.raises(ValueError, match="a link in it leads out of its folder"):
        within(root, "out/x")
    with pytest.raises((ValueError, OSError), match=r"(?i)loop|links"):
        within(root, "round/x")
