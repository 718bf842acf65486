# Makes an installed virtual environment small and the same each time it is built: without the files that hold times
# or the build's own paths, and with byte code that is checked against nothing.
# Usage: finish.sh DIRECTORY PROGRAM; the one program stays, other packages' commands go.
set -eu
app=$1 program=$2
site=$("$app/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -f "$app"/.lock "$app"/bin/activate* "$app"/bin/*.bat "$app"/bin/deactivate* "$app"/CACHEDIR.TAG "$site"/_virtualenv.*
rm -f "$site"/scim_operator-*.dist-info/direct_url.json "$site"/scim_operator-*.dist-info/uv_cache.json \
    "$site"/scim_operator-*.dist-info/RECORD
find "$app/bin" ! -type d ! -name 'python*' ! -name "$program" -delete
find "$app" -name tests -type d -prune -exec rm -rf {} +
find "$app" -name '*.pyi' -delete
find "$app" -name __pycache__ -type d -prune -exec rm -rf {} +
# The byte code of a program that cannot write its own: "unchecked" because layers change files' times.
"$app/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site"
