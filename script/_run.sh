# Sourced by the scripts beside this file: finds a Python new enough and hands over to script/dev.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
for python in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python; do
  if command -v "$python" >/dev/null 2>&1 && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec "$python" "$here/dev" "$(basename -- "$0")" "$@"
  fi
done
echo "changemgmt needs Python 3.11 or newer, with venv and pip; none was found on PATH." >&2
exit 1
