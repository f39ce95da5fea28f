"""Make README.md from nbs/index.ipynb: `python .ci/readme.py OUT`.

Cells marked `#| hide` stay out, and directives; pictures go to nbs/images. The last section is for
those who change the package.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

LAST = '## From Python'
pages = Path(__file__).resolve().parent.parent / 'nbs'
pictures = pages / 'images'

notebook = nbformat.read(pages / 'index.ipynb', as_version=4)
notebook.metadata['language_info'] = {'name': 'python'}
end = next(k for k, c in enumerate(notebook.cells) if c.source.startswith(LAST))
shown = (c for c in notebook.cells[:end] if not re.match(r'#\|\s*(hide|default_exp)', c.source))
notebook.cells = list(shown)
for cell in notebook.cells:
    if cell.cell_type == 'code':
        cell.source = re.sub(r'(?m)^#\|.*\n?', '', cell.source)
text, found = MarkdownExporter().from_notebook_node(notebook)
for number, (name, data) in enumerate(found.get('outputs', {}).items(), 1):
    pictures.mkdir(exist_ok=True)
    (pictures / f'readme-{number}.png').write_bytes(data)
    text = text.replace(f'({name})', f'(nbs/images/readme-{number}.png)')
text = re.sub(r'!\[png\]', '![a chart]', text)
text = re.sub(r'\n```\n+```python\n', '\n\n', text)  # imports are a cell of their own
out = Path(sys.argv[1])
out.write_text(re.sub(r'\n{3,}', '\n\n', text).strip() + '\n', encoding='utf-8')
