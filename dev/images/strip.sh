# Takes out of the base image what no program needs at run time. Run as the last step of a stage whose file system is
# then copied into an empty image, so that what is removed here takes no space either.
set -eu
python=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
purelib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$purelib"/pip* "$purelib"/setuptools* "$purelib"/wheel* /usr/lib/python3/dist-packages
rm -rf "$python"/ensurepip "$python"/idlelib "$python"/test "$python"/turtledemo "$python"/tkinter "$python"/lib2to3
rm -f /usr/local/bin/pip* /usr/bin/pip*
# Compiled while running here, and again by the base image's builder: times in it change from build to build.
find / -xdev -name __pycache__ -type d -prune -exec rm -rf {} +
rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/python-wheels /usr/share/perl5 \
    /usr/lib/*-linux-gnu/perl* /usr/lib/*-linux-gnu/libperl* /usr/lib/*-linux-gnu/libapt* /usr/share/bash-completion \
    /var/lib/dpkg/info /var/cache /var/log /var/lib/apt /etc/apt /usr/lib/apt /root /tmp /strip.sh
rm -f /usr/bin/apt* /usr/bin/dpkg* /usr/bin/perl* /usr/sbin/dpkg* /usr/bin/gcc* /usr/bin/cc
mkdir -m 1777 /tmp
mkdir -m 0700 /root
mkdir -p /var/cache /var/log
grep -q '^nonroot:' /etc/passwd || echo 'nonroot:x:65532:65532:nonroot:/tmp:/usr/sbin/nologin' >> /etc/passwd
grep -q '^nonroot:' /etc/group || echo 'nonroot:x:65532:' >> /etc/group
