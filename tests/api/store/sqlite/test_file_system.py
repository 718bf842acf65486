"""An SQLite file on a network's file system is told at start, and none other is."""

import json
import re
from pathlib import Path

import pytest
import structlog.testing

from scim_api.http.admin.trusted_keys import TrustedKeys
from scim_api.server.serve import opened_store
from scim_api.server.settings import ApiSettings
from scim_api.store.sqlite import file_system
from scim_api.store.sqlite.file_system import is_network, kind_of, network_warning
from support.serve_process import Serve

MOUNTS = r"""
1 0 254:0 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b
22 1 0:21 / /proc rw,relatime - proc proc rw
40 1 8:16 / /var/lib/scim-api rw,relatime shared:7 master:1 - ext4 /dev/sdb rw
41 1 0:50 / /var/lib/nfs rw,relatime - nfs4 10.0.0.1:/export/scim rw,vers=4.2,addr=10.0.0.1
42 1 0:51 / /data rw - ext4 /dev/sdc rw
43 1 0:52 /scim /data rw - nfs 10.0.0.1:/export rw
44 1 0:53 / /with\040space\134 rw - cifs //server/share rw
45 41 8:17 / /var/lib/nfs/local rw - xfs /dev/sdd rw
not a line
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/var/lib/scim-api/scim.db", ("ext4", "/var/lib/scim-api")),
        ("/var/lib/scim-api", ("ext4", "/var/lib/scim-api")),
        ("/var/lib/scim-api-2/scim.db", ("overlay", "/")),
        ("/var/lib/nfs/scim.db", ("nfs4", "/var/lib/nfs")),
        ("/var/lib/nfs/local/scim.db", ("xfs", "/var/lib/nfs/local")),
        ("/data/scim.db", ("nfs", "/data")),
        ("/with space\\/scim.db", ("cifs", "/with space\\")),
        ("/scim.db", ("overlay", "/")),
    ],
)
def test_a_path_is_on_the_mount_that_is_nearest_and_last(path: str, found: tuple[str, str]) -> None:
    assert kind_of(path, MOUNTS) == found


def test_without_a_line_nothing_is_known() -> None:
    assert kind_of("/scim.db", "") is None


@pytest.mark.parametrize(
    "kind",
    [
        "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "glusterfs", "lustre", "fuse.glusterfs", "fuse.ceph-fuse",
        "fuse.sshfs", "fuse.s3fs", "fuse.juicefs", "fuse.rclone", "beegfs", "gpfs", "ocfs2",
    ],
)  # fmt: skip
def test_these_are_of_a_network(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuseblk", "f2fs", "fuse.fuse-overlayfs"]
)
def test_these_are_not(kind: str) -> None:
    assert not is_network(kind)


def test_a_file_on_nfs_is_told_with_what_to_do(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:50 / {tmp_path.resolve()} rw - nfs4 s:/e rw\n"
    )
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    told = network_warning(link / "scim.db", mounts)
    assert told is not None
    assert re.search(
        r"scim\.db is on nfs4 \(mounted at .*\), .*ReadWriteOnce.*PostgreSQL.*scim-api copy", told
    )
    assert network_warning(Path("/elsewhere/scim.db"), mounts) is None
    assert network_warning(tmp_path / "scim.db", tmp_path / "missing") is None


async def test_a_service_warns_of_it_in_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("1 0 0:50 / / rw - smb3 //server/share rw\n")
    monkeypatch.setattr(file_system, "MOUNTS", mounts)
    settings = ApiSettings(database_url=f"sqlite:///{tmp_path / 'scim.db'}")
    with structlog.testing.capture_logs() as logs:
        async with opened_store(settings, TrustedKeys(None)):
            pass
    [told] = logs
    assert (told["event"], told["log_level"]) == ("database on a network's file system", "warning")
    assert "is on smb3" in told["detail"]


def test_this_machines_own_mounts_are_understood(tmp_path: Path) -> None:
    if not file_system.MOUNTS.exists():
        pytest.skip("only Linux has /proc/self/mountinfo")
    found = kind_of(str(tmp_path.resolve()), file_system.MOUNTS.read_text(encoding="utf-8"))
    assert found is not None
    assert found[0]
    assert str(tmp_path.resolve()).startswith(found[1])


def test_a_service_on_a_local_file_says_nothing_of_it(tmp_path: Path) -> None:
    service = Serve(tmp_path, f"sqlite:///{tmp_path / 'scim.db'}")
    try:
        service.wait_ready()
    finally:
        service.stop()
    events = [json.loads(line)["event"] for line in service.log.read_text().splitlines()]
    assert "started" in events
    assert "database on a network's file system" not in events
