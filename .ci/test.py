"""Run notebooks as `nbdev_test` does, each in a process of its own, the dearest first.

`python .ci/test.py [--slow] [--jobs N] [--keep] [NOTEBOOK ...]`, without names all of nbs/.

Pages are forked from one process that has imported what they import, so a page neither waits for
torch nor meets what another page left behind. What a page and its children write is shown only if
it fails; its temporary files lie in a folder of its own, which goes with it.

`--slow` runs pages that have cells marked `#| slow`, these cells too, and keeps what became of each
of them in `.ci/slow.csv`. `--keep` keeps the processor seconds of pages in `.ci/seconds.csv`, by
which the order is made.
"""

import argparse
import csv
import datetime
import fcntl
import gc
import importlib
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import nbdev.test
from execnb.nbio import read_nb
from execnb.shell import CaptureShell
from nbdev.config import get_config

top = Path(__file__).resolve().parent.parent
SECONDS = top / '.ci' / 'seconds.csv'
SLOW = top / '.ci' / 'slow.csv'
WARM = """captum.attr cv2 h5py hypothesis jupyter_client lmdb matplotlib.pyplot nbclient nbconvert
nbformat numba openpyxl optuna pandas PIL.Image pyarrow.parquet pydantic scipy.ndimage scipy.signal
scipy.stats sklearn sqlalchemy torch torchinfo torchvision wfdb"""


def notebooks():
    "All pages, benchmarks and run notebooks too: their cells that are not slow are tests as well."
    found = sorted((top / 'nbs').rglob('*.ipynb'))
    return [p for p in found if p.name[0] not in '_.' and '.ipynb_checkpoints' not in p.parts]


def name_of(page):
    return page.relative_to(top).as_posix()


def is_slow(cell):
    "Whether a cell is marked; nbdev takes its directives out of the source of what it runs."
    taken = getattr(cell, 'directives_', None) or {}
    marked = 'slow' in taken or re.search(r'(?m)^#\|\s*slow\b', cell.source)
    return cell.cell_type == 'code' and bool(marked)


def rows_of(path):
    "The rows of a kept table; none if there is no such file yet."
    if not path.is_file():
        return []
    with path.open(newline='', encoding='utf-8') as f:
        return list(csv.DictReader(f))


def keep(path, rows):
    "Write a kept table whole, or leave the one that is there."
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    with temporary.open('w', newline='', encoding='utf-8') as f:
        table = csv.DictWriter(f, fieldnames=list(rows[0]), lineterminator='\n')
        table.writeheader()
        table.writerows(rows)
    os.replace(temporary, path)


def by_cost(pages):
    "The dearest pages first, and before them those of which nothing is known."
    known = {row['page']: float(row['seconds']) for row in rows_of(SECONDS)}
    return sorted(pages, key=lambda p: -known.get(name_of(p), 1e9))


def warm_up():
    "Import what pages import: modules of others, then those of the package."
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # threads that wait leave processors alone
    modules = [p.relative_to(top).with_suffix('') for p in sorted((top / 'ecgvis').rglob('*.py'))]
    names = ['.'.join(m.parts).removesuffix('.__init__') for m in modules]
    for name in WARM.split() + [n for n in names if not n.endswith('_modidx')]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a page looks for garbage among its own things alone


class Shell(CaptureShell):
    """The shell of a page. Nobody sees its pictures: they are not drawn at twice their size. What
    becomes of a slow cell is kept as soon as it is known."""

    def __init__(self, path):
        super().__init__(path, mpl_format='png')
        self.page = path

    def cell(self, cell, **options):
        begun = time.time()
        super().cell(cell, **options)
        if is_slow(cell):
            note_slow(self.page, cell, time.time() - begun, 'failed' if self.exc else 'passed')


def note_slow(page, cell, seconds, result):
    "Keep what became of a slow cell; another page may do the same at this moment."
    today = datetime.date.today().isoformat()
    row = dict(page=name_of(page), cell=cell.id, date=today, seconds=round(seconds, 1))
    row |= dict(result=result)
    with open(top / '.ci' / 'test.py') as one:
        fcntl.flock(one, fcntl.LOCK_EX)
        others = [r for r in rows_of(SLOW) if (r['page'], r['cell']) != (row['page'], row['cell'])]
        keep(SLOW, sorted([*others, row], key=lambda r: (r['page'], r['cell'])))


def child(page, room, slow):
    "Run a page in this process, which is its own; what it says goes to a file of its room."
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    said = os.open(room / 'said', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    folder = room / 'tmp'
    folder.mkdir()
    os.environ['TMPDIR'] = tempfile.tempdir = str(folder)
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)  # processes of a page compile modules once
    nbdev.test.CaptureShell = Shell
    config = get_config()
    flags = dict(skip_flags=config.tst_flags.split(), force_flags=['slow'] if slow else [])
    passed, _ = nbdev.test.test_nb(page, basepath=config.config_path, **flags)
    sys.stdout.flush()
    sys.stderr.flush()
    return not passed


def start(page, room, slow):
    "The number of a new process that runs a page."
    room.mkdir()
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        code = child(page, room, slow)
    finally:
        os._exit(code)


def run(pages, jobs, slow, place):
    "Run pages, some at a time; a row of each as it ends: page, status, seconds."
    todo, live = list(pages), {}
    try:
        while todo or live:
            while todo and len(live) < jobs:
                page = todo.pop(0)
                room = place / str(len(todo))
                live[start(page, room, slow)] = page, room, time.time()
            number, status, used = os.wait4(-1, 0)
            page, room, begun = live.pop(number)
            seconds = used.ru_utime + used.ru_stime
            yield page, room, os.waitstatus_to_exitcode(status), time.time() - begun, seconds
            shutil.rmtree(room, ignore_errors=True)  # a process that a page left may still write
    finally:
        for number in live:
            os.killpg(number, signal.SIGTERM)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('pages', nargs='*', type=Path, metavar='NOTEBOOK')
    parser.add_argument('--jobs', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--skip', default='', help='leave out pages whose name this begins')
    parser.add_argument('--slow', action='store_true', help='slow cells too, their result kept')
    parser.add_argument('--keep', action='store_true', help='keep the seconds of pages')
    asked = parser.parse_args()
    absent = [str(p) for p in asked.pages if not p.is_file()]
    if absent:
        sys.exit(f'no such notebook: {", ".join(absent)}')
    pages = [p.resolve() for p in asked.pages] or notebooks()
    pages = [p for p in pages if not (asked.skip and p.name.startswith(asked.skip))]
    if asked.slow:
        pages = [p for p in pages if any(is_slow(c) for c in read_nb(p).cells)]
    os.chdir(top)
    sys.path.insert(0, str(top))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # with what is under way
    begun = time.time()
    warm_up()
    failed, took = [], {}
    with tempfile.TemporaryDirectory(prefix='pages-') as place:
        for page, room, code, wall, seconds in run(
            by_cost(pages), asked.jobs, asked.slow, Path(place)
        ):
            name = name_of(page)
            took[name] = round(seconds, 1)
            ended = 'passed' if not code else f'FAILED ({code})'
            print(f'{ended} {name}: {wall:.1f} s, {seconds:.1f} of processors', flush=True)
            if code:
                failed.append(name)
                print((room / 'said').read_text(encoding='utf-8', errors='replace'), flush=True)
    if asked.keep:
        known = {r['page']: r['seconds'] for r in rows_of(SECONDS)}
        known |= {name: s for name, s in took.items() if name not in failed}
        rows = [dict(page=p, seconds=s) for p, s in sorted(known.items())]
        keep(SECONDS, [r for r in rows if (top / r['page']).is_file()])
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f'{len(took)} pages in {time.time() - begun:.0f} s, '
        f'{own.ru_utime + own.ru_stime:.0f} of processors; {len(failed)} failed',
        *failed,
        sep='\n  ',
    )
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
