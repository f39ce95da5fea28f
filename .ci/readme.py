"""Make README.md from nbs/index.ipynb: `python .ci/readme.py OUT`.

Cells marked `#| hide` stay out, directives and outputs of set-up too.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

source = Path(__file__).parent.parent / 'nbs' / 'index.ipynb'
notebook = nbformat.read(source, as_version=4)
notebook.metadata['language_info'] = {'name': 'python'}
notebook.cells = [c for c in notebook.cells if not re.match(r'#\|\s*(hide|default_exp)', c.source)]
for cell in notebook.cells:
    if cell.cell_type == 'code':
        cell.source = re.sub(r'(?m)^#\|.*\n?', '', cell.source)
text, _ = MarkdownExporter().from_notebook_node(notebook)
Path(sys.argv[1]).write_text(re.sub(r'\n{3,}', '\n\n', text).strip() + '\n', encoding='utf-8')
