"""Processes are found by their pods, and sizes become series."""

from pathlib import Path

from soak.probes import DatabaseSizes, processes, values_of

ONE = "0b6d1f9e-5f0a-4a53-9d4e-0a2b9d6c1f11"
TWO = "7c1a55f0-1111-4222-8333-444455556666"


def process(
    root: Path, pid: int, cgroup: str, comm: str = "python", kib: int = 1024, open_files: int = 3
) -> None:
    directory = root / str(pid)
    (directory / "fd").mkdir(parents=True)
    for number in range(open_files):
        (directory / "fd" / str(number)).touch()
    (directory / "cgroup").write_text(f"0::{cgroup}\n")
    (directory / "comm").write_text(f"{comm}\n")
    (directory / "status").write_text(f"Name:\t{comm}\nVmRSS:\t   {kib} kB\nThreads:\t1\n")


def test_the_processes_of_a_pod_are_found_whichever_driver_made_the_cgroup(tmp_path: Path) -> None:
    process(tmp_path, 10, f"/kubepods/burstable/pod{ONE}/0123", kib=2048, open_files=5)
    process(tmp_path, 11, f"/kubepods.slice/kubepods-pod{ONE.replace('-', '_')}.slice/cri-containerd-9.scope")
    process(tmp_path, 12, f"/kubepods/burstable/pod{ONE}/4567", comm="pause")
    process(tmp_path, 13, f"/kubepods/burstable/pod{TWO}/89ab")
    process(tmp_path, 14, "/user.slice")
    (tmp_path / "self").mkdir()
    found = processes([ONE], tmp_path)
    assert set(found) == {ONE}
    assert sorted((one.pid, one.resident, one.descriptors) for one in found[ONE]) == [
        (10, 2048 * 1024, 5),
        (11, 1024 * 1024, 3),
    ]


def test_a_process_that_ends_meanwhile_is_none(tmp_path: Path) -> None:
    process(tmp_path, 10, f"/kubepods/burstable/pod{ONE}/0123")
    (tmp_path / "10" / "status").unlink()
    assert processes([ONE], tmp_path) == {ONE: []}


def test_the_log_of_changes_is_measured_by_its_rows() -> None:
    sizes = DatabaseSizes({"resource": 2**20}, wal=2**25, log=5000, changes=10, connections=7)
    assert list(values_of(sizes)) == [
        ("table resource", "MiB", 1.0),
        ("WAL of PostgreSQL", "MiB", 32.0),
        ("connections to PostgreSQL", "", 7),
        ("change in the log", "bytes", 500.0),
    ]


def test_a_log_without_rows_says_nothing() -> None:
    sizes = DatabaseSizes({}, wal=0, log=8192, changes=0, connections=1)
    assert [name for name, _, _ in values_of(sizes)] == ["WAL of PostgreSQL", "connections to PostgreSQL"]
