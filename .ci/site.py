"""The documentation site, of all notebooks of nbs/ by nbdev's own processors.

`python .ci/site.py check [NOTEBOOK ...]` refuses notebooks that the processors stop at.
`python .ci/site.py build FOLDER [REPORT]` builds the site, by Quarto where it is on PATH, else by
nbconvert; REPORT is the folder of a finished report, which the site then carries as its example.
`python .ci/site.py crawl FOLDER` follows every link of a built site.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from html import unescape
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import unquote, urldefrag

import nbformat
import yaml
from execnb.nbio import read_nb, write_nb
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbdev.config import get_config
from nbdev.processors import FilterDefaults
from traitlets.config import Config

top = Path(__file__).resolve().parent.parent
source = top / 'nbs'
here = top / '.ci' / 'site'
EXAMPLE = 'example/index.html'
GROUPS = {'00_begin': 'begin here', 'bench': 'measured'}  # folders without a page of their own
ROOT = ('foundations', 'command')  # pages of no folder: those before the wings and those after


def notebooks():
    "All pages in the order of the site: neither run notebooks nor what Jupyter left."
    apart = {'runs', '.ipynb_checkpoints'}
    found = [p.relative_to(source) for p in source.rglob('*.ipynb')]
    first = lambda p: (*p.parts[:-1], '' if p.name == 'index.ipynb' else p.name)
    return sorted((p for p in found if not apart & set(p.parts)), key=first)


def name_of(page):
    "The file of a page on the site; nbdev leaves the numbers of notebooks out."
    return page.with_name(re.sub(r'^\d+_', '', page.stem) + '.html').as_posix()


def mixed_directives(cell):
    "Whether Quarto, which reads directives as YAML, would stop at those of a cell."
    lines = re.findall(r'(?m)^#\|(.*)$', cell.source) if cell.cell_type == 'code' else []
    try:
        yaml.safe_load('\n'.join(x.removeprefix(' ') for x in lines))
    except yaml.YAMLError:
        return True
    return False


def is_mixed(cell):
    "Whether a cell both imports and does something else, so that nbdev would run it for the site."
    directives = re.findall(r'(?m)^#\|\s*(.+?)\s*$', cell.source)
    apart = any(d.startswith('export') or d == 'eval: false' for d in directives)
    if cell.cell_type != 'code' or apart or 'nbdev_export(' in cell.source:
        return False
    try:
        tree = ast.parse(cell.source)
    except SyntaxError:  # magics
        return False
    found = [isinstance(x, (ast.Import, ast.ImportFrom)) for x in ast.walk(tree)]
    rest = [x for x in tree.body if not isinstance(x, (ast.Import, ast.ImportFrom, ast.If))]
    return any(found) and bool(rest)


def faults(page):
    "What keeps a notebook from the site, a line each."
    notebook = read_nb(source / page)
    executed = any(re.search(r'(?m)^#\|\s*export', c.source) for c in notebook.cells)
    for number, cell in enumerate(notebook.cells):
        if mixed_directives(cell):
            yield f'nbs/{page}: cell {number} has directives that are no YAML together'
        if executed and is_mixed(cell):
            yield f'nbs/{page}: cell {number} imports and does something else: make two cells of it'


def processed(page):
    "A notebook as nbdev makes it for the site; the lines that say why it cannot."
    notebook = read_nb(source / page)
    own = sys.modules['__main__']  # the processors put a module of theirs in its place
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            FilterDefaults()(notebook)
        except Exception as e:  # whatever a notebook raises is a fault of the notebook
            cause = e.__cause__ or e
            said = str(e).splitlines()[0]
            return notebook, [f'nbs/{page}: {said} {type(cause).__name__}: {cause}']
        finally:
            sys.modules['__main__'] = own
    told = [str(w.message) for w in caught if 'imports and other code' in str(w.message)]
    return notebook, [f'nbs/{page}: {line.splitlines()[0]}' for line in told]


def told_by(work, pages, pool):
    "What a function says of pages, lines of each, in their order."
    return [line for lines in pool.map(work, pages, chunksize=4) for line in lines]


def told_of(page):
    "The lines that say why nbdev cannot make a notebook for the site."
    return processed(page)[1]


def workers():
    "Processes that make pages: nbdev runs imports and exported cells of each, which takes a while."
    return ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context('spawn'))


def check(pages):
    "Every fault of the pages; the processors run only where a look at the cells finds none."
    lines = [line for page in pages for line in faults(page)]
    with workers() as pool:
        return lines or told_by(told_of, pages, pool)


def relative(target, page):
    "The way from a page to a file of the site."
    return os.path.relpath(target, Path(page).parent).replace(os.sep, '/')


def with_links(text, page):
    "Markdown whose links to notebooks and to the site's address lead to pages of this site."
    config = get_config(path=top)
    address = config.doc_host + config.doc_baseurl + '/'
    known = {p.as_posix() for p in notebooks()}

    def mend(found):
        target, part = found['target'], found['part'] or ''
        if target.startswith(address):
            return f']({relative(target.removeprefix(address), page)}{part})'
        goal = os.path.normpath((page.parent / target).as_posix())
        if goal in known:
            return f']({relative(name_of(Path(goal)), page)}{part})'
        return found[0]

    return re.sub(r'\]\((?P<target>[^()\s#]+)(?P<part>#[^()\s]*)?\)', mend, text)


def texts(cell):
    "Where a cell has Markdown: pairs of a holder and its key."
    if cell['cell_type'] == 'markdown':
        yield cell, 'source'
    for output in cell.get('outputs', []):
        if 'text/markdown' in output.get('data', {}):
            yield output['data'], 'text/markdown'


def without_files(cell):
    "A cell whose kept output, part of a report perhaps, links to no file beside it."
    for output in cell.get('outputs', []):
        html = output.get('data', {}).get('text/html')
        if html:
            html = html if isinstance(html, str) else ''.join(html)
            output['data']['text/html'] = re.sub(r' href="(?!#|\w+:)[^"]*"', '', html)


def filtered(folder, page):
    "Write a notebook, as nbdev filters it, into a folder; the lines that say why it cannot."
    notebook, lines = processed(page)
    for cell in notebook.cells:
        without_files(cell)
        for holder, key in texts(cell):
            text = holder[key] if isinstance(holder[key], str) else ''.join(holder[key])
            holder[key] = with_links(text, page)
    file = folder / page
    file.parent.mkdir(parents=True, exist_ok=True)
    write_nb(notebook, file)
    return lines


def prepare(folder, pool):
    "All notebooks, as nbdev filters them, in a folder; the faults of those that it cannot."
    told = told_by(partial(filtered, folder), notebooks(), pool)
    shutil.copytree(source / 'images', folder / 'images', dirs_exist_ok=True)
    return told


def front_matter(notebook):
    "Title and description of a filtered notebook."
    first = notebook.cells[0]
    raw = first.source if first.cell_type == 'raw' else ''
    return yaml.safe_load(raw.strip().strip('-')) or {} if raw else {}


def group_of(page):
    "The name of the group of a page in the sidebar."
    if len(page.parts) > 1:
        return GROUPS.get(page.parts[0], re.sub(r'^\d+_', '', page.parts[0]))
    return '' if page.stem == 'index' else ROOT[page.stem > '1']


def site_groups(pages):
    "The sidebar: names of groups with their pages, in order."
    groups = {}
    for page in pages:
        groups.setdefault(group_of(page), []).append(page)
    home, begin = groups.pop(''), groups.pop(GROUPS['00_begin'], [])
    return [('', home), *([(GROUPS['00_begin'], begin)] if begin else []), *groups.items()]


def quarto_project(folder, has_example):
    "Beside the filtered notebooks, the settings of a Quarto project with the sidebar."
    project = yaml.safe_load((source / '_quarto.yml').read_text(encoding='utf-8'))
    contents = []
    for name, pages in site_groups(notebooks()):
        files = [page.as_posix() for page in pages]
        contents += [{'section': name, 'contents': files}] if name else files
    if has_example:
        contents.insert(1, {'text': 'a finished report', 'href': EXAMPLE})
        project['project']['resources'] = ['example/**']
    project['website']['sidebar']['contents'] = contents
    text = yaml.safe_dump(project, sort_keys=False, allow_unicode=True)
    (folder / '_quarto.yml').write_text(text, encoding='utf-8')


def by_quarto(folder, out):
    "The site by Quarto."
    command = [shutil.which('quarto'), 'render', '--no-cache', '--no-execute']
    subprocess.run(command, cwd=folder, check=True)
    shutil.copytree(folder / '_docs', out, dirs_exist_ok=True)


def plain_cell(cell):
    "A cell as nbconvert shows it: what the directives of Quarto say is done, and they go."
    if cell.cell_type == 'code':
        if '#| echo: false' in cell.source:
            cell.metadata.tags = ['silent']
        cell.source = re.sub(r'(?m)^#\|.*\n?', '', cell.source)
        cell.execution_count = None
        for output in cell.get('outputs', []):
            data = output.get('data', {})
            if 'text/markdown' in data:  # a docstring, of which the first line alone is in italics
                text = ''.join(data['text/markdown'])
                data['text/markdown'] = re.sub(r'(?m)^\*(?!\*)(.*)\*$', r'\1', text)
    for holder, key in texts(cell):
        holder[key] = re.sub(r'\{(target|style|\.)[^}\n]*\}', '', holder[key])
    return cell


def anchors(html):
    "HTML whose headings have the names that nbdev links to; and these headings."
    found = []

    def name(match):
        title = unescape(re.sub('<a class="anchor-link".*?</a>|<[^>]+>', '', match['text']))
        anchor = re.sub(r'[^\w.\- ]', '', title.lower()).strip().replace(' ', '-')
        found.append((int(match['level']), anchor, title))
        return f'<h{match["level"]} id="{anchor}">{match["text"]}</h{match["level"]}>'

    pattern = r'(?s)<h(?P<level>[1-4])(?: [^>]*)?>(?P<text>.*?)</h(?P=level)>'
    html = re.sub(r'(?s)<a class="anchor-link".*?</a>', '', html)
    return re.sub(pattern, name, html), found


def words(notebook):
    "The prose of a page, for the search."
    parts = [''.join(holder[key]) for c in notebook.cells for holder, key in texts(c)]
    return re.sub(r'[\s`*#>|\[\]()-]+', ' ', re.sub(r'\]\([^)]*\)', ' ', ' '.join(parts))).strip()


SCROLLS = re.compile(r'<(pre|table)\b(?![^>]*tabindex)')  # keys must reach what they scroll


def converted(folder, page):
    "A filtered notebook as the HTML of its body, with what the site says of it."
    silent = dict(enabled=True, remove_input_tags={'silent'})
    exporter = HTMLExporter(template_name='basic', config=Config(TagRemovePreprocessor=silent))
    notebook = nbformat.read(folder / page, as_version=4)
    facts = front_matter(notebook)
    notebook.cells = [plain_cell(c) for c in notebook.cells if c.cell_type != 'raw']
    body, headings = anchors(exporter.from_notebook_node(notebook)[0])
    body = SCROLLS.sub(r'<\1 tabindex="0"', body)
    one = dict(page=page, url=name_of(page), title=facts.get('title', page.stem))
    one |= dict(description=facts.get('description', ''), words=words(notebook))
    return one | dict(body=Markup(body), headings=headings)


def by_nbconvert(folder, out, has_example, pool):
    "The site by nbconvert: the same pages, order and sidebar."
    pages, index = notebooks(), []
    listed = list(pool.map(partial(converted, folder), pages, chunksize=4))
    for one in listed:
        title = ' / '.join(x for x in (group_of(one['page']), one['title']) if x)
        index.append([title, one['url'], one['description'], one['words']])
    titles = {x['page']: x for x in listed}
    groups = [(name, [titles[p] for p in found]) for name, found in site_groups(pages)]
    ordered = [x for _, found in groups for x in found]
    template = Environment(loader=FileSystemLoader(here), autoescape=True).get_template('page.html')
    for number, one in enumerate(ordered):
        around = dict(before=ordered[number - 1] if number else None)
        around['after'] = ordered[number + 1] if number + 1 < len(ordered) else None
        around |= dict(groups=groups, group=group_of(one['page']), has_example=has_example)
        way = lambda url, one=one: relative(url, one['page'])
        file = out / one['url']
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(template.render(one=one, way=way, **around), encoding='utf-8')
    for name in ('site.css', 'site.js'):
        shutil.copyfile(here / name, out / name)
    shutil.copytree(source / 'images', out / 'images', dirs_exist_ok=True)
    text = json.dumps(index, ensure_ascii=False)
    (out / 'search.js').write_text(f'const PAGES = {text};\n', encoding='utf-8')


def build(out, report=None):
    "The whole site in a folder; its faults."
    shutil.rmtree(out, ignore_errors=True)
    has_example = report is not None and (report / 'index.html').is_file()
    with tempfile.TemporaryDirectory() as d, workers() as pool:
        folder = Path(d)
        told = prepare(folder, pool)
        if has_example:
            shutil.copytree(report, folder / 'example')
        if shutil.which('quarto'):
            quarto_project(folder, has_example)
            by_quarto(folder, out)
        else:
            by_nbconvert(folder, out, has_example, pool)
            if has_example:
                shutil.copytree(report, out / 'example')
    return told + crawl(out)


def links(html):
    "What a page links to and loads."
    html = re.sub(r'(?s)<(script|pre)\b.*?</\1>', '', html)
    return [unescape(x) for x in re.findall(r'\b(?:href|src)="([^"]+)"', html)]


def names(html):
    "The places of a page that a link may lead to."
    return set(re.findall(r'\b(?:id|name)="([^"]+)"', html))


def followed(out):
    "What is wrong behind the links of a site's front page, and the places of each page seen."
    todo, seen, told = ['index.html'], {}, []
    wanted = []
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        html = (out / page).read_text(encoding='utf-8')
        seen[page] = names(html)
        shown = re.sub(r'(?s)<(head|script|style|pre|code)\b.*?</\1>', '', html)
        if not page.startswith('example/'):
            fences = re.findall(r'(?m)(?:^|>)[ \t]*(:::|```|#\| )', shown)
            told += [f'{page}: shows {x!r} as text' for x in dict.fromkeys(fences)]
        for link in links(html):
            if re.match(r'(?i)[a-z][a-z0-9+.-]*:|//', link):  # elsewhere
                continue
            path, part = urldefrag(link)
            goal = os.path.normpath(os.path.join(os.path.dirname(page), unquote(path)))
            goal = page if not path else goal
            if not (out / goal).is_file():
                told.append(f'{page}: {link} leads nowhere')
                continue
            wanted += [(page, link, goal, unquote(part))] if part else []
            todo += [goal] if goal.endswith('.html') else []
    for page, link, goal, part in wanted:
        if not goal.startswith('example/') and part not in seen.get(goal, {part}):
            told.append(f'{page}: {link} leads to no place of that page')
    return told, seen


CONTROL = {
    'index.html': '<a href="good.html#here">a</a> <a href="gone.html">b</a> <pre>#| export</pre>',
    'good.html': '<p id="here">c</p> <a href="index.html#nowhere">d</a> <img src="lost.png">\n```',
}
FAULTS = ('gone.html leads nowhere', 'lost.png leads nowhere', 'to no place', "shows '```'")


def check_crawler():
    "Refuse to trust a crawler that misses what is wrong with a small site, or finds more."
    with tempfile.TemporaryDirectory() as place:
        for name, html in CONTROL.items():
            Path(place, name).write_text(html, encoding='utf-8')
        told, _ = followed(Path(place))
    found = [fault for fault in FAULTS if any(fault in line for line in told)]
    if len(found) < len(FAULTS) or len(told) > len(FAULTS):
        sys.exit(f'the crawler is wrong: of a site with {len(FAULTS)} faults it says {told}')


def crawl(out):
    "Dead links of a built site, pages that no way from its front page leads to, fences shown."
    check_crawler()
    told, seen = followed(out)
    absent = [name_of(p) for p in notebooks() if name_of(p) not in seen]
    return told + [f'{name}: no way leads there, or it was not made' for name in absent]


def main():
    verb, *more = sys.argv[1:] or ['']
    if verb not in ('check', 'build', 'crawl') or verb != 'check' and not more:
        sys.exit(__doc__)
    os.chdir(top)
    given = [Path(n).resolve() for n in more]
    if verb == 'check':
        told = check([p.relative_to(source) for p in given] or notebooks())
    elif verb == 'build':
        told = build(*given[:2])
    else:
        told = crawl(given[0])
    print('\n'.join(told) or f'{len(notebooks())} notebooks: the site is in order')
    return bool(told)


if __name__ == '__main__':
    sys.exit(main())
