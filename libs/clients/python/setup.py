"""What pyproject.toml cannot say: the stubs are made from the protos when the package is built."""

import runpy
from pathlib import Path

from setuptools import setup

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parent / "generate.py"), run_name="__main__")
    setup()
