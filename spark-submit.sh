#!/usr/bin/env bash
# Run a job on Spark with Petrel's settings, Delta archives and code.
#
#   ./spark-submit.sh jobs/land.py --lake my_lake --source photos --folder drops/2024-06-01
#   ./spark-submit.sh --master 'local-cluster[2,1,1024]' jobs/land.py ...
#   ./spark-submit.sh --s3 --master yarn --archives env.tar.gz#env jobs/land.py ...
#
# Options before the script are spark-submit's own and win over ours; --s3 also loads what s3a:// needs.
# Clusters, mirrors and memory: conf/README.md. PETREL_PYTHON names another interpreter than .venv's.
set -euo pipefail

here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PETREL_PYTHON:-$here/.venv/bin/python}
if [[ ! -x $python ]]; then
    python=$(command -v python3 || true)
fi
if ! "${python:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "spark-submit.sh: no Python 3.11 with Petrel found (looked for ${PETREL_PYTHON:-.venv/bin/python} and python3);" \
        "run: make setup" >&2
    exit 1
fi
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m lakehouse.spark.submit "$@"
