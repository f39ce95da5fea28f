#!/usr/bin/env bash
# Check a study and the cluster, and submit what is not done: prepare -> an array over the models -> the report.
#   slurm/submit.sh study.yaml [--dry-run] [--site FILE] [--workers N] [options of `ecgvis study`]
# Settings of the site: slurm/site.yaml, made from slurm/site.example.yaml. PYTHON names the interpreter; without it that of .venv, or python3.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-$here/../.venv/bin/python}
[ -x "$python" ] || python=$(command -v "${PYTHON:-python3}") || { echo 'submit.sh: there is no python3: run make install, or set PYTHON' >&2; exit 2; }
exec "$python" -m ecgvis.cli submit --slurm "$here" "$@"
