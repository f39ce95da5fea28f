#!/usr/bin/env python3
"""Run cases that users met, where they are present: `.ci/cases.py ../shared/cases [NAME ...]`.

A case is a folder with a `case.py` that makes its own input and says what it expects. Some import
names of version 0.1; they run with the names of today (the table below, see CHANGELOG.md)."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MOVED = {
    'from ecgvis.layout import': 'from ecgvis.render.layout import',
    'from ecgvis import guided': 'from ecgvis.saliency import methods as guided',
    'from ecgvis.study import load, save': (
        'from ecgvis.study.study import load_study as load, save_study as save'
    ),
    "'ecgvis.job'": "'ecgvis.study.run'",
}


def main(folder: str, *names: str) -> int:
    "Copy the cases, put today's names into them, run them."
    if not Path(folder, 'run.py').exists():
        print(f'SKIPPED: there are no cases in {folder}', file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as work:
        for file in Path(folder).rglob('*'):
            own = Path(work, file.relative_to(folder))
            if file.is_file() and 'in' not in file.relative_to(folder).parts:
                own.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, own)
        for file in Path(work).glob('*/case.py'):
            text = file.read_text()
            for old, new in MOVED.items():
                text = text.replace(old, new)
            file.write_text(text)
        return subprocess.run([sys.executable, Path(work, 'run.py'), *names]).returncode


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
