"""The marks of the house: `python .ci/measure.py [CHECKOUT ...]` prints a column for each checkout.

Two checkouts side by side show what a change did, for instance
`git worktree add /some/folder COMMIT` and `make measure BEFORE=/some/folder`.
"""

import ast
import json
import os
import re
import resource
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

CONTEXTS = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


def modules(root):
    "Source by dotted name, of every module that was not made by a machine."
    files = (f for f in (root / 'ecgvis').rglob('*.py') if f.name != '_modidx.py')
    parts = {f: f.relative_to(root).with_suffix('').parts for f in files}
    return {'.'.join(p).removesuffix('.__init__'): f.read_text() for f, p in parts.items()}


def shelf(root):
    "What a stranger sees first: modules and sub-packages of the package."
    found = {'.'.join(name.split('.')[:2]) for name in modules(root)}
    return sorted(found - {'ecgvis'})


def arrows(root):
    "Pairs of rooms (things on the shelf) of which the first imports the second."
    known = modules(root)
    found = set()
    for name, source in known.items():
        package = (root / 'ecgvis').joinpath(*name.split('.')[1:]).is_dir()
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.ImportFrom | ast.Import):
                continue
            for target in targets(node, name, package):
                found.add((room(name), room(closest(target, known))))
    return {(a, b) for a, b in found if a != b and 'ecgvis' not in (a, b) and b}


def targets(node, name, package):
    "The dotted names that an import asks for."
    if isinstance(node, ast.Import):
        return [a.name for a in node.names if a.name.split('.')[0] == 'ecgvis']
    base = node.module or ''
    if node.level:
        own = name.split('.')[: None if package else -1]
        above = own[: len(own) - node.level + 1]
        base = '.'.join([*above, *filter(None, [base])])
    if base.split('.')[0] != 'ecgvis':
        return []
    return [f'{base}.{a.name}' for a in node.names]


def closest(target, known):
    "The module that a dotted name lies in."
    while target and target not in known:
        target = target.rpartition('.')[0]
    return target


def room(name):
    return '.'.join(name.split('.')[:2])


def floors(pairs):
    "The height of the house: the longest way down. None where there is a circle."
    below = defaultdict(set)
    for a, b in pairs:
        below[a].add(b)
    heights = {}

    def height(name, path=()):
        if name in path:
            raise ValueError(' -> '.join([*path, name]))
        if name not in heights:
            heights[name] = 1 + max((height(b, (*path, name)) for b in below[name]), default=0)
        return heights[name]

    return max((height(a) for a in list(below)), default=1)


def pages(root):
    "The cells of every page: neither run notebooks nor benchmarks."
    for file in sorted((root / 'nbs').rglob('*.ipynb')):
        if not {'runs', 'bench', '.ipynb_checkpoints'} & set(file.parts):
            cells = json.loads(file.read_text())['cells']
            yield [(c['cell_type'], ''.join(c['source']), c.get('outputs')) for c in cells]


def is_import(source):
    "Whether code only imports, or says where code goes."
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    guard = (ast.Import, ast.ImportFrom, ast.If)
    return all(isinstance(x, guard) for x in body)


def is_export(cell):
    return cell[0] == 'code' and bool(re.search(r'(?m)^#\|\s*export', cell[1]))


def is_visible(cell):
    "A code cell that shows something at work."
    kind, source, _ = cell
    hidden = re.search(r'(?m)^#\|\s*(hide|export|default_exp)', source)
    return kind == 'code' and not hidden and bool(source.strip()) and not is_import(source)


def page_marks(root):
    "Shares of cells that show, are led by prose, and are followed by a use."
    visible = shown = exported = led = used = used_out = dark = 0
    for cells in pages(root):
        dark += not any(out for _, _, out in cells)
        seen = [c for c in cells if is_visible(c)]
        visible += len(seen)
        shown += sum(bool(out) for _, _, out in seen)
        for number, cell in enumerate(cells):
            if not is_export(cell) or is_import(cell[1]):
                continue
            exported += 1
            led += bool(number) and cells[number - 1][0] == 'markdown'
            rest = (c for c in cells[number + 1 :] if c[0] == 'code' and not is_import(c[1]))
            after = next(rest, None)
            use = after is not None and is_visible(after)
            used += use
            used_out += use and bool(after[2])
    share = lambda part, whole: f'{100 * part / max(1, whole):.0f} %'
    return {
        'notebooks; of them without output': f'{len(list(pages(root)))}; {dark}',
        'visible cells with an output': share(shown, visible),
        'exported cells followed by a use': share(used, exported),
        '  of which with an output': share(used_out, exported),
        'exported cells led by prose': share(led, exported),
        'cells': sum(len(cells) for cells in pages(root)),
    }


def code_lines(source):
    return [x for x in source.splitlines() if x.strip() and not x.strip().startswith('#')]


def line_marks(root):
    "Width and weight of the lines of the package and of the notebooks."
    sources = modules(root).values()
    own = [line for source in sources for line in code_lines(source)]
    nodes = sum(
        not isinstance(node, CONTEXTS) for source in sources for node in ast.walk(ast.parse(source))
    )
    code = [c[1] for cells in pages(root) for c in cells if c[0] == 'code']
    noted = [line for source in code for line in code_lines(source)]
    return {
        'lines of code': len(own),
        'syntax nodes a line': f'{nodes / len(own):.1f}',
        'lines over 95 columns': f'{100 * sum(len(x) > 95 for x in own) / len(own):.0f} %',
        'lines over 100 columns, in notebooks': sum(len(x) > 100 for x in noted),
        'longest line, in notebooks': max(map(len, noted)),
    }


def function_marks(root):
    "How long functions are."
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        node.end_lineno - node.lineno + 1
        for source in modules(root).values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, kinds)
    ]
    ninth = statistics.quantiles(found, n=10)[-1]
    told = f'{statistics.median(found):.0f}, {ninth:.0f}, {max(found)}'
    return {'functions': len(found), 'lines of a function (median, p90, max)': told}


def doubles(root):
    "Public names that more than one module defines."
    places = defaultdict(set)
    for name, source in modules(root).items():
        for node in ast.parse(source).body:
            for word in defined(node):
                if not word.startswith('_'):
                    places[word].add(name)
    return sorted(word for word, where in places.items() if len(where) > 1)


def defined(node):
    "The names that a statement defines."
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]


def cpu(root, *arguments):
    "Seconds of CPU of a Python process, the least of five."
    env = os.environ | dict(PYTHONPATH=str(root))

    def once():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], env=env, cwd=root, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(5))


def start_marks(root):
    "CPU seconds beyond those of an empty program."
    floor = cpu(root, '-c', 'pass')
    more = lambda *arguments: f'{cpu(root, *arguments) - floor:.2f} s'
    command = 'import sys; from ecgvis.cli import main; sys.exit(main(sys.argv[1:]))'
    return {
        'import ecgvis': more('-c', 'import ecgvis'),
        'ecgvis --version': more('-c', command, '--version'),
        'ecgvis --help': more('-c', command, '--help'),
        'ecgvis status': more('-c', command, 'status'),
    }


def marks(root):
    "Every mark of a checkout, by name."
    pairs = arrows(root)
    try:
        height = floors(pairs)
    except ValueError as circle:
        height = f'a circle: {circle}'
    names = doubles(root)
    first = {
        'things on the first shelf': len(shelf(root)),
        'floors; arrows between rooms': f'{height}; {len(pairs)}',
        'public names of two modules': len(names),
    }
    return first | page_marks(root) | line_marks(root) | function_marks(root) | start_marks(root)


def main():
    roots = [Path(a).resolve() for a in sys.argv[1:]] or [Path(__file__).resolve().parent.parent]
    tables = [marks(root) for root in roots]
    for name in tables[0]:
        print(f'{name:42}', *(f'{str(t.get(name, "")):>24}' for t in tables))
    for root in roots:
        print('defined twice:', ', '.join(doubles(root)) or 'nothing')


if __name__ == '__main__':
    main()
