#!/usr/bin/env bash
# The Python environment with the packages that images are compared with; prints the path of its interpreter. Only
# agreement.py uses it.
exec bash "$(dirname "${BASH_SOURCE[0]}")/../support/python_env.sh" images pillow==11.3.0 numpy==2.3.5
