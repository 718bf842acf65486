# Takes out of the base image what no program needs at run time. Run as the last step of a stage whose file system is
# then copied into an empty image, so that what is removed here takes no space either.
set -eu
python=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
purelib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$purelib"/pip* "$purelib"/setuptools* "$purelib"/wheel* /usr/lib/python3/dist-packages
rm -rf "$python"/ensurepip "$python"/idlelib "$python"/test "$python"/turtledemo "$python"/tkinter "$python"/lib2to3
rm -f /usr/local/bin/pip* /usr/bin/pip*
# Compiled while running here, and again by the base image's builder: times in it change from build to build. It is
# made anew at the end.
find / -xdev -name __pycache__ -type d -prune -exec rm -rf {} +
# Licences stay: who passes a program on passes its licence on.
find /usr/share/doc -mindepth 1 ! -type d ! -name copyright ! -type l -delete
rm -rf /usr/share/man /usr/share/info /usr/share/locale /usr/share/python-wheels /usr/share/perl5 \
    /usr/lib/*-linux-gnu/perl* /usr/lib/*-linux-gnu/libperl* /usr/lib/*-linux-gnu/libapt* /usr/share/bash-completion \
    /var/cache /var/log /var/lib/apt /etc/apt /usr/lib/apt /root /tmp /strip.sh
rm -f /usr/bin/apt* /usr/bin/dpkg* /usr/bin/perl* /usr/sbin/dpkg* /usr/bin/gcc* /usr/bin/cc
# dpkg's list names what is left alone: scanners read it, and would report holes of programs that are not there.
python3 -B - <<'END'
import os
import pathlib

dpkg = pathlib.Path("/var/lib/dpkg")
CODE = ("/bin/", "/sbin/", "/lib", "/usr/bin/", "/usr/sbin/", "/usr/lib", "/usr/libexec/")
NO_CODE = ("/lib/systemd/", "/usr/lib/systemd/", "/usr/share/doc/")


def is_left(entry):
    """Whether a program or library of the package is there; of one without any, whether any file is."""
    fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and line[0] != " ")
    names = (fields["Package"], f"{fields['Package']}:{fields['Architecture']}")
    lists = [dpkg / "info" / f"{name}.list" for name in names]
    paths = {path for one in lists if one.exists() for path in one.read_text().splitlines()}
    folders = {os.path.dirname(path) for path in paths}
    files = [path for path in paths - folders if not path.startswith(NO_CODE)]
    return any(os.path.isfile(path) for path in [path for path in files if path.startswith(CODE)] or files)


status = dpkg / "status"
entries = [entry for entry in status.read_text().split("\n\n") if entry.strip()]
status.write_text("".join(entry.strip("\n") + "\n\n" for entry in entries if is_left(entry)))
END
rm -rf /var/lib/dpkg/info /var/lib/dpkg/status-old /var/lib/dpkg/available*
# Nothing runs as somebody else than who started it.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
mkdir -m 1777 /tmp
mkdir -m 0700 /root
mkdir -p /var/cache /var/log
grep -q '^nonroot:' /etc/passwd || echo 'nonroot:x:65532:65532:nonroot:/tmp:/usr/sbin/nologin' >> /etc/passwd
grep -q '^nonroot:' /etc/group || echo 'nonroot:x:65532:' >> /etc/group
# The byte code of Python's own library, as finish.sh makes that of ours: else each start would take a second more.
python3 -m compileall -q --invalidation-mode unchecked-hash "$python"
