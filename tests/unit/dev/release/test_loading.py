"""What programs of an image load, and whether it is there."""

from release.elf import Linked
from release.loading import Tree, missing

LOADER = "/lib/ld-linux-aarch64.so.1"


def _debian() -> Tree:
    """As Debian has it: /lib is a link, and libraries are links to their versions."""
    tree = Tree()
    tree.add_link("/lib", "usr/lib")
    tree.add_file("/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1")
    tree.add_link("/usr/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu/ld-linux-aarch64.so.1")
    tree.add_file("/usr/lib/aarch64-linux-gnu/libz.so.1.3.1")
    tree.add_link("/usr/lib/aarch64-linux-gnu/libz.so.1", "libz.so.1.3.1")
    return tree


def _missing(tree: Tree, path: str, program: Linked) -> list[str]:
    return list(missing(tree, {path: program}, "arm64"))


def test_a_program_whose_loader_and_libraries_are_there_lacks_nothing() -> None:
    assert _missing(_debian(), "/usr/bin/x", Linked(LOADER, ("libz.so.1",), ())) == []


def test_a_loader_that_is_not_there_is_named() -> None:
    other = Linked("/lib64/ld-linux-x86-64.so.2", (), ())
    assert _missing(_debian(), "/usr/bin/x", other) == [
        "/usr/bin/x is started by /lib64/ld-linux-x86-64.so.2, which is not in it"
    ]


def test_a_library_that_is_not_there_is_named() -> None:
    wanting = Linked(None, ("libz.so.1", "libpq.so.5"), ())
    assert _missing(_debian(), "/app/x.so", wanting) == ["/app/x.so needs libpq.so.5, which is not in it"]


def test_a_library_in_a_folder_of_another_architecture_is_not_there() -> None:
    tree = Tree()
    tree.add_file("/usr/lib/x86_64-linux-gnu/libz.so.1")
    assert _missing(tree, "/app/x.so", Linked(None, ("libz.so.1",), ()))


def test_a_wheel_finds_the_libraries_that_it_brings() -> None:
    tree = Tree()
    tree.add_file("/app/x.libs/libz-0a1b.so.1")
    for folder in ("$ORIGIN/../x.libs", "${ORIGIN}/../x.libs", "/app/x.libs"):
        assert _missing(tree, "/app/x/_x.so", Linked(None, ("libz-0a1b.so.1",), (folder,))) == []
    assert _missing(tree, "/app/x/_x.so", Linked(None, ("libz-0a1b.so.1",), ("$ORIGIN",)))


def test_links_that_lead_nowhere_or_in_a_circle_lead_to_no_file() -> None:
    tree = Tree()
    tree.add_link("/a", "/gone")
    tree.add_link("/b", "c")
    tree.add_link("/c", "b")
    assert not any(tree.has_file(path) for path in ("/a", "/b", "/c", "/d"))


def test_a_link_may_lead_out_of_its_folder() -> None:
    tree = Tree()
    tree.add_file("/usr/lib/x")
    tree.add_link("/etc/x", "../usr/lib/x")
    assert tree.has_file("/etc/x")
