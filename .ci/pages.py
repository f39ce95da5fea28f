"""What every notebook of nbs/ must keep: outputs of the code beside them, prose, short lines.

`python .ci/pages.py check` refuses a notebook that breaks a rule, and says which one.
`python .ci/pages.py run [NOTEBOOK ...]` executes notebooks and keeps their outputs; without names,
those whose outputs are older than their code.
"""

import ast
import hashlib
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

top = Path(__file__).resolve().parent.parent
WIDTH = 100
KEY = 'ecgvis'  # of a notebook's metadata, kept by `allowed_metadata_keys` of settings.ini


def notebooks():
    "All pages of the house: neither run notebooks, which papermill executes, nor benchmarks."
    pages = sorted((top / 'nbs').rglob('*.ipynb'))
    apart = {'runs', 'bench', '.ipynb_checkpoints'}
    return [p for p in pages if not apart & set(p.relative_to(top).parts)]


def code_cells(notebook):
    return [c for c in notebook.cells if c.cell_type == 'code' and c.source.strip()]


def directives(cell):
    "The nbdev directives of a cell, such as `export` or `eval: false`."
    return re.findall(r'(?m)^#\|\s*(.+?)\s*$', cell.source)


def is_export(cell):
    return any(d.startswith('export') for d in directives(cell))


def only_imports(cell):
    "Whether a cell does nothing but import, or says where code goes."
    try:
        body = ast.parse(cell.source).body
    except SyntaxError:
        return False
    kinds = (ast.Import, ast.ImportFrom, ast.If)  # `if TYPE_CHECKING:`
    return all(isinstance(x, kinds) for x in body)


def skipped(cell):
    "Whether tests leave a cell out; its kept output stays."
    flags = {'eval: false', 'slow', 'gpu'}
    return bool(flags & set(directives(cell))) or 'nbdev_export(' in cell.source


def normal(source):
    "Code without comments and layout, so that only what runs counts."
    try:
        return ast.unparse(ast.parse(source))
    except SyntaxError:  # magics
        return source


def module_file(name):
    "The file of a module of the package; None for what is no file."
    base = top.joinpath(*name.split('.'))
    found = (f for f in (base.with_suffix('.py'), base / '__init__.py') if f.exists())
    return next(found, None)


def imported(source):
    "The files of the package's modules that code imports by name."
    names = set(re.findall(r'\b(?:from|import)\s+(ecgvis(?:\.\w+)*)', source))
    for package, rest in re.findall(r'\bfrom\s+(ecgvis(?:\.\w+)*)\s+import\s+([\w, ]+)', source):
        names |= {f'{package}.{leaf.split()[0]}' for leaf in rest.split(',') if leaf.strip()}
    return sorted({f for f in map(module_file, names) if f})


def code_digest(notebook):
    "A digest of a notebook's code and of the modules that it imports."
    own = '\n'.join(normal(c.source) for c in code_cells(notebook))
    name = next(
        (
            d.split()[1]
            for c in code_cells(notebook)
            for d in directives(c)
            if d.startswith('default_exp')
        ),
        None,
    )
    mine = name and module_file(f'ecgvis.{name}')
    others = [normal(f.read_text()) for f in imported(own) if f != mine]
    return hashlib.sha256('\0'.join([own, *others]).encode()).hexdigest()[:16]


def is_stale(notebook):
    return notebook.metadata.get(KEY, {}).get('outputs_of') != code_digest(notebook)


def kept(cell):
    "The outputs that a reader gains from: no warnings, no progress, none of hidden cells."
    if is_export(cell) or 'hide' in directives(cell):
        return []
    plain = []
    for out in cell.outputs:
        if out.output_type == 'stream' and out.name == 'stderr':
            continue
        out.pop('execution_count', None)
        if out.output_type == 'execute_result':
            out.execution_count = None
        data = out.get('data', {})
        if 'image/png' in data:
            data.pop('text/plain', None)
        plain.append(without_folders(out))
    return plain


TEMPORARY = re.compile(re.escape(tempfile.gettempdir()) + r'/[\w.-]+')
PRIVATE = re.compile('|'.join(map(re.escape, (f'{Path.home()}/', f'{top.parent}/', 'File "/'))))


def without_places(text):
    "A text that names no folder of this machine."
    for place, word in ((sys.executable, 'python'), (str(top), '.')):
        text = text.replace(place, word)
    return TEMPORARY.sub('FOLDER', text)


def without_folders(out):
    "An output whose texts name no folder of this machine."
    for holder, key in ((out, 'text'), (out.get('data', {}), 'text/plain')):
        if key in holder:
            holder[key] = without_places(holder[key])
    return out


class OwnKernel(AsyncKernelManager):
    "The kernel of this interpreter, whatever kernels the home folder has under its name."

    def __init__(self, **more):
        super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **more)


def run(path):
    "Execute one notebook as Jupyter would, and keep its outputs."
    notebook = nbformat.read(path, as_version=4)
    before = code_digest(notebook)  # what it imports may change while it runs: then it is stale
    left = {c.id: (c.source, c.get('outputs', [])) for c in code_cells(notebook) if skipped(c)}
    for cell in code_cells(notebook):
        if cell.id in left:
            cell.source = ''
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name='python3',
        kernel_manager_class=OwnKernel,
        resources={'metadata': {'path': str(path.parent)}},
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop('execution', None)
        if cell.cell_type != 'code':
            continue
        if cell.id in left:
            cell.source, cell.outputs = left[cell.id]
        else:
            cell.outputs = kept(cell)
        cell.execution_count = None
        told = PRIVATE.search(
            str(
                [o.get('text', '') or o.get('data', {}).get('text/plain', '') for o in cell.outputs]
            )
        )
        if told:
            raise ValueError(f'{path}: an output shows a path of this machine: {told.group()}')
    notebook.metadata.pop('language_info', None)
    notebook.metadata[KEY] = dict(outputs_of=before)
    temporary = path.with_name(f'.{path.name}.tmp')  # a page is whole, whenever this is killed
    nbformat.write(notebook, temporary)
    os.replace(temporary, path)
    return path


def faults(path):
    "What is wrong with a page, a line each."
    notebook = nbformat.read(path, as_version=4)
    name = path.relative_to(top)
    if not any(c.outputs for c in code_cells(notebook)):
        yield f'{name}: shows no output'
    if is_stale(notebook):
        yield f'{name}: its outputs are older than its code (make outputs)'
    before = None
    for number, cell in enumerate(notebook.cells):
        prose = before is not None and before.cell_type == 'markdown'
        if cell.cell_type == 'code':
            if is_export(cell) and not prose and not only_imports(cell):
                yield f'{name}: cell {number} exports without a sentence of why before it'
            for line in cell.source.splitlines():
                if len(line) > WIDTH:
                    yield f'{name}: cell {number} has a line of {len(line)} columns: {line[:60]}'
        before = cell


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ('check', 'run'):
        sys.exit(__doc__)
    verb, names = sys.argv[1], [Path(n).resolve() for n in sys.argv[2:]]
    absent = [str(n) for n in names if not n.is_file()]
    if absent:
        sys.exit(f'no such notebook: {", ".join(absent)}')
    pages = names or notebooks()
    if verb == 'check':
        told = [line for page in pages for line in faults(page)]
        print('\n'.join(told) or f'{len(pages)} notebooks: outputs, prose and lines are in order')
        return bool(told)
    todo = names or [p for p in pages if is_stale(nbformat.read(p, as_version=4))]
    failed = []

    def one(page):
        try:
            print(f'{run(page).relative_to(top)}: done', flush=True)
        except Exception as e:  # told, and the others go on
            failed.append(page)
            print(f'{page.relative_to(top)}: {type(e).__name__}: {str(e)[-3000:]}', flush=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, todo))
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
