#!/usr/bin/env bash
# The Python environment with the public packages that the tokenizers are compared with; prints the path of its
# interpreter. Only scripts of tests use it: a test without it compares with the golden files that the scripts have left.
exec bash "$(dirname "${BASH_SOURCE[0]}")/../support/python_env.sh" tokenizers tokenizers==0.22.2 sentencepiece==0.2.1
