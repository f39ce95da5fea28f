"Packaging of ecgvis: everything is read from settings.ini."

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here / 'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']


class Build(build_py):
    "Put the batch script, its settings and the run notebooks into the package."

    def run(self):
        super().run()
        if self.editable_mode:
            return  # an editable install takes those of the checkout
        batch = Path(self.build_lib) / 'ecgvis' / 'study' / 'batch'
        for name in ('job.sbatch', 'submit.sh', 'site.example.yaml'):
            self.mkpath(str(batch))
            self.copy_file(str(here / 'slurm' / name), str(batch / name))
        for file in sorted((here / 'nbs' / 'runs').glob('[a-z]*.ipynb')):
            self.mkpath(str(batch / 'runs'))
            self.copy_file(str(file), str(batch / 'runs' / file.name))


setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=(here / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=cfg['author'],
    author_email=cfg['author_email'],
    license='Apache-2.0',
    keywords=cfg['keywords'],
    url=cfg['git_url'],
    package_dir={'': '.'},  # an editable install is then found from above the clone
    cmdclass={'build_py': Build},
    packages=find_packages(include=['ecgvis', 'ecgvis.*']),
    package_data={
        'ecgvis': [
            '*.yaml',
            '*.yml',
            '*.html',
            '*.css',
            'py.typed',
            'pictures/weights/*.safetensors',
            'simulate/*.safetensors',
            'models/simulated/*/*.json',
            'models/simulated/*/*.md',
            'models/simulated/*/*.csv',
            'models/simulated/*/*.safetensors',
        ]
    },
    python_requires='>=' + cfg['min_python'],
    install_requires=cfg['requirements'].split(),
    extras_require={'dev': cfg['dev_requirements'].split()},
    entry_points={'console_scripts': cfg['console_scripts'].split()},
    zip_safe=False,
)
