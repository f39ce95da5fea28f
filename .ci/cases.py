#!/usr/bin/env python3
"""Run cases that users met, where they are present: `.ci/cases.py ../shared/cases [NAME ...]`.

A case is a folder with a `case.py` that makes its own input and says what it expects. Some import
names of version 0.1; they run with the names of today (the table below, see CHANGELOG.md)."""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MOVED = {
    'from ecgvis.layout import': 'from ecgvis.render.layout import',
    'from ecgvis import guided': 'from ecgvis.saliency import methods as guided',
    'from ecgvis.study import load, save': (
        'from ecgvis.study.study import load_study as load, save_study as save'
    ),
    "'ecgvis.job'": "'ecgvis.study.run'",
}


def prepared(folder: Path, work: Path) -> list[str]:
    "Copy the cases, put today's names into them; the names of the cases."
    for file in folder.rglob('*'):
        own = work / file.relative_to(folder)
        if file.is_file() and 'in' not in file.relative_to(folder).parts:
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, own)
    cases = sorted(work.glob('*/case.py'))
    for file in cases:
        text = file.read_text()
        for old, new in MOVED.items():
            text = text.replace(old, new)
        file.write_text(text)
    return [file.parent.name for file in cases]


def main(folder: str, *names: str) -> int:
    "Run the cases, as many at a time as there are processors."
    if not Path(folder, 'run.py').exists():
        print(f'SKIPPED: there are no cases in {folder}', file=sys.stderr)
        return 0
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)  # their processes compile modules once
    with tempfile.TemporaryDirectory() as work:
        cases = prepared(Path(folder), Path(work))
        asked = [c for c in cases if not names or any(map(c.startswith, names))]

        def run(case: str) -> int:
            command = [sys.executable, Path(work, 'run.py'), case]
            done = subprocess.run(command, capture_output=True, text=True)
            rows = done.stdout.splitlines()[:-1]  # the last one counts
            print(*rows, done.stderr, sep='\n', end='', flush=True)
            return done.returncode if rows else 1

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            short = sum(code != 0 for code in pool.map(run, asked))
    print(f'{short} of {len(asked)} cases fall short')
    return bool(short)


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
